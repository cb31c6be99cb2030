"""What was measured, each by one command: `make bench`, or `make bench NAME=restore`.

Each benchmark measures ours beside a floor in the same run, interleaved, since machines are shared
and only ratios mean something.
"""
