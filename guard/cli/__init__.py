"""The command line: `holdfast` and `kubectl holdfast`, and where the processes are put together."""
