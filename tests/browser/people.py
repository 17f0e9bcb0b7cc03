"""People before a page: with a mouse, with a keyboard alone, without JavaScript."""

from typing import Any

from playwright.sync_api import Locator, Page, expect

IS_FOCUSED = "element => element === document.activeElement"

# A ring around it, or a shadow like one.
LOOKS_FOCUSED = """
element => {
  const style = getComputedStyle(element);
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  return element.matches(":focus-visible") && (ring || style.boxShadow !== "none");
}
"""

# Past this nobody clicks for what stood there a moment ago.
SETTLED = 700  # milliseconds

# So many elements there are at most on the way around a page.
ONCE_AROUND = 60


class Person:
    """Somebody with a mouse and an up-to-date browser."""

    window: dict[str, Any] = {}

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, name: str) -> None:
        """Press a button."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def think(self) -> None:
        """Take the time that anybody takes before the next button."""
        self.page.wait_for_timeout(SETTLED)

    def follow(self, name: str) -> None:
        """Follow a link."""
        self.page.get_by_role("link", name=name, exact=True).click()

    def fill_in(self, label: str, text: str) -> None:
        """Put a text into a field, in place of the one that is there."""
        self.page.get_by_label(label).fill(text)

    def see(self, text: str) -> None:
        """Wait until the page says it."""
        expect(self.page.locator("body")).to_contain_text(text, timeout=20_000)

    @property
    def items_done(self) -> int:
        """How far the bar stands."""
        value = self.page.get_by_role("progressbar").get_attribute("value")
        return int(value or 0)

    def see_it_move(self) -> None:
        """Wait until the bar stands elsewhere."""
        bar = self.page.get_by_role("progressbar")
        value = str(self.items_done)
        expect(bar).not_to_have_attribute("value", value, timeout=20_000)


class Typist(Person):
    """Somebody who has only the keys Tab, Enter and Space, and those of texts."""

    def press(self, name: str) -> None:
        self.go_to(self.page.get_by_role("button", name=name, exact=True))
        self.page.keyboard.press("Space")

    def follow(self, name: str) -> None:
        self.go_to(self.page.get_by_role("link", name=name, exact=True))
        self.page.keyboard.press("Enter")

    def fill_in(self, label: str, text: str) -> None:
        self.go_to(self.page.get_by_label(label))
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def go_to(self, target: Locator) -> None:
        """Press Tab until the focus is there; it is to be seen all the way."""
        target.wait_for()
        for _ in range(ONCE_AROUND):
            if target.evaluate(IS_FOCUSED):
                return
            self.page.keyboard.press("Tab")
            focused = self.page.locator(":focus")
            if focused.count():  # The window itself has its turn, too.
                assert focused.evaluate(LOOKS_FOCUSED), focused.evaluate(
                    "e => e.outerHTML"
                )
        raise AssertionError(f"The keyboard does not reach {target}.")


class Purist(Person):
    """Somebody without JavaScript, who looks again to see news."""

    window = {"java_script_enabled": False}

    def see(self, text: str) -> None:
        for _ in range(100):
            if text in self.page.locator("body").inner_text():
                return
            self.look_again()
        super().see(text)

    def see_it_move(self) -> None:
        before = self.items_done
        while self.items_done == before:
            self.look_again()

    def look_again(self) -> None:
        """Ask for the page anew, by the link that stands there for it."""
        link = self.page.get_by_role("link", name="Look again")
        if link.count():
            link.click()
        else:
            self.page.reload()
