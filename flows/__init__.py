"""When what runs: takes monitoring requests, measures through `geo`, files through `registry`."""
