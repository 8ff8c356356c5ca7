"""What the registry refuses, and why; imports nothing.

A class's docstring is its message: the fields given at raising are put into it and stay on the
error as attributes. No HTTP here; the edge maps classes to answers in one table.
Order: the root, what anyone may meet, accounts, projects and land, monitoring, files.
Ledger, market and verification add their own below the same root.
"""


class RegistryError(Exception):
    """The registry refused."""

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        message = " ".join((type(self).__doc__ or "").split())
        super().__init__(message.format(**fields))

    def __getattr__(self, name: str) -> object:
        """Give each field of the message as an attribute."""
        fields = self.__dict__.get("fields", {})
        if name in fields:
            return fields[name]
        raise AttributeError(name)


# --- what anyone may meet -----------------------------------------------------------------------


class NotFound(RegistryError):
    """There is no {what} {key}."""


class NotAllowed(RegistryError):
    """{actor} may not {action}: that needs the role {needed}."""


class NotYours(RegistryError):
    """{actor} may not {action}: {what} belongs to another organisation."""


class InvalidValue(RegistryError):
    """{what}: {problem}. {fix}"""


class WrongState(RegistryError):
    """{what} is {state}; it cannot become {wanted}. Possible from here: {possible}."""


class CommandConflict(RegistryError):
    """The command {command_id} was given before with other content. Send a new id."""


# --- the database -------------------------------------------------------------------------------


class SettingMissing(RegistryError):
    """The setting {name} is not given. Set {variable}."""


class EnvironmentMismatch(RegistryError):
    """The database was born {born} and stays so; the settings say {asked}."""


class RoleTooStrong(RegistryError):
    """The application is connected as {role}, which could change history. Use amanar_app."""


class NotMigrated(RegistryError):
    """The database is at revision {found}, the code needs {needed}. Run: amanar db up."""


# --- accounts -----------------------------------------------------------------------------------


class SignInRefused(RegistryError):
    """No account with this e-mail and password, or it is disabled."""


class KeyRefused(RegistryError):
    """The key or token is unknown, revoked or expired."""


class AlreadyExists(RegistryError):
    """{what} {key} exists already. Choose another."""


# --- projects and land --------------------------------------------------------------------------


class LandOverlap(RegistryError):
    """The area {area} overlaps project {project} by {overlap_ha} ha.

    It may share at most 1 % of the smaller area, and 0.01 ha with all neighbours together.
    """


class CellsClaimed(RegistryError):
    """The area {area} claims land cells that are already claimed for {pool} in this time."""


# --- monitoring ---------------------------------------------------------------------------------


class PeriodOverlap(RegistryError):
    """The period {start} to {end} overlaps the verified period {other_start} to {other_end}.

    The next period of this area begins on {expected_start}.
    """


class PeriodGap(RegistryError):
    """The period {start} to {end} leaves a gap after the verified period ending {other_end}.

    The next period of this area begins on {expected_start}.
    """


class RequestOpen(RegistryError):
    """The area has an unfinished monitoring request {request_id} in these days already."""


class ReportUndecided(RegistryError):
    """The area's report {report_id} of {period} still waits for a decision; ask after it."""


class LeaseLost(RegistryError):
    """{worker} does not hold the lease of monitoring request {request_id} (any more)."""


class PreviousChanged(RegistryError):
    """The report builds on {given} tCO2e credited before; the last approved one says {expected}.

    Request the monitoring again.
    """


class TermsChanged(RegistryError):
    """The report's {what} is {given}; the area's first verified period fixes {expected}.

    Request the monitoring again.
    """


class ReportMismatch(RegistryError):
    """The estimate's {field} is {given}, the request's is {expected}."""


# --- files --------------------------------------------------------------------------------------


class EvidenceMissing(RegistryError):
    """The evidence store holds no file {sha256}."""


class EvidenceAltered(RegistryError):
    """The stored file {expected} has the sha256 {found}: it was altered on disk."""


# --- credits and quantities ---------------------------------------------------------------------


class NotAQuantity(RegistryError):
    """{text} is not a quantity that can be booked; wanted: {wanted}."""


class NotASerial(RegistryError):
    """{text} is not a serial; wanted: {wanted}."""


class RangesDoNotTile(RegistryError):
    """The serials {left} and {right} overlap; a serial is in one place only."""


class UnknownClaimWords(RegistryError):
    """The catalog of claims knows no {what} {value}. Known: {known}."""


# --- verification and minting -------------------------------------------------------------------


class OwnReport(RegistryError):
    """{actor} belongs to the organisation of the project; another verifier must decide."""


class InReview(RegistryError):
    """Report {report_id} is in another verifier's review until {until}."""


class NoOpenReview(RegistryError):
    """{actor} has no open review of report {report_id}. Take it first."""


class EvidenceChanged(RegistryError):
    """The decision was made on evidence {shown}; report {report_id} stands on {actual}.

    Look at the report again.
    """


class ReportAltered(RegistryError):
    """Report {report_id} no longer stands on what was filed: {reasons}"""


class CannotApprove(RegistryError):
    """Report {report_id} cannot be approved: {reasons}"""


# --- ledger and market --------------------------------------------------------------------------


class InsufficientBalance(RegistryError):
    """The {account} account holds {held_kg} kg of batch {batch_id}; {asked_kg} kg were asked."""


class SerialsNotHeld(RegistryError):
    """Serials {serials} of batch {batch_id} do not lie in this {account} account.

    They were retired, listed or moved, or belong to somebody else.
    """


class InsufficientFunds(RegistryError):
    """The cash account holds {held}; {needed} are needed."""


class AccountFrozen(RegistryError):
    """The {kind} account is frozen; nothing moves from it or to it."""


class SandboxOnly(RegistryError):
    """{what} exists in a sandbox only; this registry is {environment}."""


class OwnListing(RegistryError):
    """Listing {listing_id} is your own organisation's. Withdraw it instead."""


class ListingClosed(RegistryError):
    """Listing {listing_id} is {state}; nothing can be bought from it."""


class ListingTooSmall(RegistryError):
    """Listing {listing_id} has {remaining_kg} kg left; {asked_kg} kg were asked for."""


# --- the log ------------------------------------------------------------------------------------


class NotSealedYet(RegistryError):
    """The log entry of retirement {retirement_id} is not sealed yet. Ask again in a moment."""


class LogInconsistent(RegistryError):
    """The log does not continue checkpoint {tree_size}: {problem} Nothing was signed."""


class SecretUnsafe(RegistryError):
    """The secret {path} {problem}. {fix}"""


class SigningKeyUnsafe(RegistryError):
    """The signing key {path} {problem}. {fix}"""
