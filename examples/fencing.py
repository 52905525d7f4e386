"""A holder that overslept cannot harm a store that looks at tokens.

A lock tells a program that it may write. It cannot take the pen out of the hand of one that was
frozen meanwhile, woke up, and does not know that its lock is gone. The token can: it is larger than
that of every earlier holder, so the store refuses whoever comes with a smaller one.
"""

from holdfast import Lockspace


class Store:
    """Anything that is written to: a row, an object, a disk. It remembers one number."""

    def __init__(self) -> None:
        self.content, self.newest = "", 0

    def write(self, content: str, token: int) -> None:
        """Raises PermissionError for a token older than one that was seen."""
        if token < self.newest:
            raise PermissionError(f"token {token} is stale: {self.newest} has been here")
        self.content, self.newest = content, token


locks = Lockspace()
store = Store()

sleeper = locks("disk-7").acquire()
store.write("by the first", sleeper.token)

# The host of the first holder loses power; an operator says so.
locks.break_("disk-7", id=sleeper.id, why="its host lost power")

with locks("disk-7") as grant:
    store.write("by the second", grant.token)

# ... but it had only been frozen, and goes on where it was:
try:
    store.write("by the first, again", sleeper.token)
except PermissionError as error:
    print("refused:", str(error).split(":")[0].replace(str(sleeper.token), "N"))
print("the disk holds what was written", store.content)
print("the first knows by now:", not sleeper.held)

# refused: token N is stale
# the disk holds what was written by the second
# the first knows by now: True
