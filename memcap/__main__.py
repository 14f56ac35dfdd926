"""The command `memcap`, also as `python -m memcap`: hears signals first, and only then imports the rest."""

from memcap.runtime import signals


def main() -> None:
    """Run the command that was typed."""
    with signals.watching():
        from memcap import cli

        cli.main()


if __name__ == "__main__":
    main()
