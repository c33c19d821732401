"""The report in a real browser: no error, no request, everything there with scripts off."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.export.company import FORMULA
from tests.export.conftest import Made

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, as installed."""
    if CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is not installed")
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


def opened(browser: Any, path: Path, **options: Any) -> tuple[Any, list[str]]:
    """A page with what its console, its errors and its requests said."""
    said: list[str] = []
    page = browser.new_context(**options).new_page()
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith("file://") else said.append(request.url))
    page.goto(path.as_uri())
    return page, said


def test_the_report_opens_without_errors_or_requests(browser: Any, made: Made) -> None:
    page, said = opened(browser, made.folder / "report/report.html")
    assert said == []
    assert page.locator("section").count() == 12
    assert page.locator("article.ctl").count() == len(made.exported.assessment.controls)
    assert page.locator("tr[id^=DEV-]").count() == 5
    button = page.locator("#e-DEV-0001 button")
    page.locator("#e-DEV-0001 summary").click()
    button.click()
    page.wait_for_function("document.querySelector('#e-DEV-0001 output').textContent !== ''")
    assert page.locator("#e-DEV-0001 output").text_content() == "✓ same digest"


def test_the_digest_is_really_computed(browser: Any, made: Made, tmp_path: Path) -> None:
    """An altered record inside the page differs from its digest."""
    text = (made.folder / "report/report.html").read_text(encoding="utf-8")
    altered = text.replace("&#34;tls&#34;:false", "&#34;tls&#34;:true ")
    assert altered != text
    (tmp_path / "r.html").write_text(altered, encoding="utf-8")
    page, _ = opened(browser, tmp_path / "r.html")
    page.locator("#e-DEV-0001 summary").click()
    page.locator("#e-DEV-0001 button").click()
    page.wait_for_function("document.querySelector('#e-DEV-0001 output').textContent !== ''")
    assert page.locator("#e-DEV-0001 output").text_content() == "✗ differs"


def test_everything_is_there_with_scripts_off(browser: Any, made: Made) -> None:
    page, said = opened(browser, made.folder / "report/report.html", java_script_enabled=False)
    assert said == []
    text = page.locator("main").inner_text()
    for expected in (
        "3 deviations in 4",
        "GAP-001",
        "refused ListBuckets",
        "agent was away: host stopped",
        "inherited",
    ):
        assert expected in text
    assert page.locator("button:visible").count() == 0


def test_names_are_text_and_never_markup(browser: Any, made: Made) -> None:
    page, _ = opened(browser, made.folder / "report/report.html")
    assert page.locator("h1").inner_text() == "Tiny Models <GmbH>"
    assert page.locator("tr#DEV-0001 code").inner_text() == FORMULA
    assert page.locator("gmbh").count() == 0


@pytest.mark.parametrize(
    ("control", "symbols"),
    [
        ("enc-in-transit", ["not-evaluable", "partly-met"]),
        ("access-authentication-strong", ["bridged", "not-evaluable"]),
    ],
)
def test_states_differ_in_shape(browser: Any, made: Made, control: str, symbols: list[str]) -> None:
    """Each state but met and not applicable is a symbol of its own; ten days, each with its title."""
    page, _ = opened(browser, made.folder / "report/report.html")
    hrefs = page.locator(f"#c-{control} svg.cal use").evaluate_all("all => all.map(u => u.getAttribute('href'))")
    assert sorted(set(hrefs)) == [f"#b-{name}" for name in symbols]
    shapes = page.locator("symbol[id^=b-]").evaluate_all(
        'all => all.map(s => s.innerHTML.replace(/class="[^"]*"/g, \'\'))'
    )
    assert len(shapes) == len(set(shapes)) == 8


@pytest.mark.parametrize("media", ["screen", "print"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_page(browser: Any, made: Made, media: str, scheme: str, width: int) -> None:
    page, said = opened(browser, made.folder / "report/report.html", viewport={"width": width, "height": 900})
    page.emulate_media(media=media, color_scheme=scheme)
    if media == "screen" or width == 1280:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []


def test_start_here_opens_and_leads_to_the_report(browser: Any, made: Made) -> None:
    page, said = opened(browser, made.folder / "START-HERE.html")
    assert said == []
    assert made.ledger.fingerprint in page.locator("body").inner_text()
    page.locator("a", has_text="Open the report").click()
    assert page.url.endswith("report/report.html")
