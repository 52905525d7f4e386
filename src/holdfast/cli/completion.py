"""``holdfast completion``: the script that teaches a shell to complete the command line."""

from __future__ import annotations

import click

from holdfast.cli.words import shown_as_is

__all__ = ["completion"]


@click.command(
    "completion",
    epilog=shown_as_is("""
    Examples:
      holdfast completion bash > /etc/bash_completion.d/holdfast
      holdfast completion zsh > "${fpath[1]}/_holdfast"
      holdfast completion fish > ~/.config/fish/completions/holdfast.fish
      eval "$(holdfast completion bash)"     # for this shell alone
    """),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> None:
    """Print the script for SHELL. Names are completed from what is held and awaited right now."""
    from click.shell_completion import ShellComplete, get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    # Not kind.source(): for bash that starts a bash to look at its version first.
    complete = kind(ctx.find_root().command, {}, "holdfast", "_HOLDFAST_COMPLETE")
    print(ShellComplete.source(complete).rstrip())
