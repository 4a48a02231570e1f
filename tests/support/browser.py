"""A real browser without a screen: Chromium, driven over WebDriver, with a profile of its own."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
)


def need_programs() -> tuple[str, str]:
    """Chromium and its driver. Without them a test is skipped on a developer's machine, and fails in CI."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        message = "chromium and chromium-driver are not installed: scripts/system-deps installs them"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return browser, driver


class Browser:
    """One window; for one thread, until `close`."""

    def __init__(self, profile: Path, width: int = 1200, height: int = 1000, scale: float = 1.0) -> None:
        browser, driver = need_programs()
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        for flag in (
            *_FLAGS,
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            f"--force-device-scale-factor={scale}",
        ):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(driver))

    def close(self) -> None:
        """End it."""
        self.driver.quit()

    def prefer(self, **features: str) -> None:
        """Have media features, with `_` for `-`: `prefers_color_scheme="dark"`."""
        chosen = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.command("Emulation.setEmulatedMedia", features=chosen)

    def command(self, name: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def evaluate(self, script: str) -> Any:
        """The value that a script in the page returns."""
        return self.driver.execute_script(script)

    def text(self, selector: str) -> str:
        """What is shown of the first element; nothing where there is none, or it is hidden."""
        found = f"document.querySelector({selector!r})"
        return str(self.evaluate(f"return {found}?.checkVisibility() ? {found}.innerText : ''"))

    def console(self) -> list[str]:
        """What the page said in the console since the last time."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [f"{entry['level']}: {entry['message']}" for entry in entries]

    def press(self, key: str, code: int, **more: str) -> None:
        """Press one key, as a keyboard sends it."""
        for kind in ("keyDown", "keyUp"):
            self.command("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **more)


OUTSTANDING = """
for (const small of document.querySelectorAll("figure .value small")) small.textContent = "of 512.0 MB, 99.9 %";
for (const top of document.querySelectorAll("figure .top")) top.textContent = "10,000 ms";
const ends = element => element.getBoundingClientRect().right;
return Array.from(document.querySelectorAll("figure"))
  .filter(figure => Array.from(figure.querySelectorAll(".value, .value small, .top"))
    .some(part => ends(part) > ends(figure) + 1))
  .map(figure => figure.innerText);
"""
"""The charts whose figures, with long ones in them, stand out into the next chart."""


def check_narrow_windows(browser: Browser) -> None:
    """Nothing extends beyond a telephone's screen, nor a chart's figures into the next chart at any width."""
    size: dict[str, Any] = {"height": 800, "deviceScaleFactor": 1, "mobile": False}
    for width in (360, 600, 768, 900, 1200):
        browser.command("Emulation.setDeviceMetricsOverride", width=width, **size)
        assert browser.evaluate("return document.documentElement.scrollWidth") <= width
        assert browser.evaluate(OUTSTANDING) == [], width
    browser.command("Emulation.clearDeviceMetricsOverride")
