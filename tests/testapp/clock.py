"""A clock that stands still until a task moves it: chunks end where a test wants."""


class Clock:
    """Give the same time again and again, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def tick(self) -> None:
        """Let so much time pass that any chunk is full."""
        self.now += 10

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        self.now += seconds


clock = Clock()
