"""Runs ``kd`` and turns whatever happens into an exit code and, for errors, one line."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import click

from kdcore.cli import cli
from kdcore.cli.common import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_OK, Settings
from kdcore.errors import KDError, KDWarning
from kdcore.origin import command_line

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (see `kdcore.cli.common`).

    Parameters
    ----------
    args : sequence of str, optional
        Instead of ``sys.argv[1:]``.
    """
    settings = Settings()
    with warnings.catch_warnings():
        warnings.showwarning = _one_line_warnings(warnings.showwarning)
        try:
            with command_line(sys.argv[1:] if args is None else args):
                returned = cli.main(args=args, prog_name="kd", standalone_mode=False, obj=settings)
            sys.stdout.flush()
        except KDError as error:
            return _fail(error, str(error), settings)
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except click.Abort:
            click.echo("Aborted.", err=True)
            return EXIT_INTERRUPTED
        except BrokenPipeError:
            return _reader_gone()
        except OSError as error:
            return _fail(error, _of_system(error), settings)
        except Exception as error:
            from kdcore.candidates import describe_error

            text = (
                f"unexpected {describe_error(error)}. Run it again with --debug for the "
                "traceback, and report it if kdcore is at fault."
            )
            return _fail(error, text, settings)
    # click hands back the code of `ctx.exit(code)`; a command that just ends hands back None.
    return returned if isinstance(returned, int) else EXIT_OK


def _fail(error: BaseException, text: str, settings: Settings) -> int:
    if settings.debug:
        traceback.print_exception(error)
    click.echo(f"Error: {' '.join(text.splitlines())}", err=True)
    return EXIT_ERROR


def _of_system(error: OSError) -> str:
    from kdcore.candidates import describe_error

    if error.strerror and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    return error.strerror or describe_error(error)


def _reader_gone() -> int:
    # Whoever read our output has left, as `head` does; what is still buffered must not raise again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_ERROR


def _one_line_warnings(default: Any) -> Any:
    """Show our own warnings to users as one line, without the place in the source."""

    def show(message: Any, category: type[Warning], *args: Any, **kwargs: Any) -> None:
        if issubclass(category, KDWarning):
            click.echo(f"Warning: {message}", err=True)
        else:
            default(message, category, *args, **kwargs)

    return show


if __name__ == "__main__":
    sys.exit(main())
