"""`python -m refusion`: the command line."""

from refusion.cli import main

if __name__ == "__main__":
    main()
