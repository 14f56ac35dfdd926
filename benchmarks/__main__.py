"""`python -m benchmarks NAME`: see `benchmarks.runner`."""

from benchmarks.runner import main

if __name__ == "__main__":
    main()
