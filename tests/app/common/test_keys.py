"""assets/keys.js by itself: which key presses what, and when no key does anything."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
SCRIPT = (Path(__file__).parents[3] / "assets" / "keys.js").read_text()
FAILURES = ("previous", "next")
DESK = (
    *(f"verdict-{x}" for x in ("0", "1", "2", "3", "tie", "bad", "unsure")), "skip", "undo", "back", "next-item", "zoom",
)  # fmt: skip


@pytest.fixture
def page(browser):
    page = browser.new_page()
    # An address of its own: pages without one have no storage.
    page.route("**/*", lambda route: route.fulfill(content_type="text/html", body="<body></body>"))
    page.goto("http://keys.example/")
    yield page
    page.close()


def put(page, ids, more=""):
    """A page of buttons; one in a box, as Gradio builds some. What is pressed is kept in `window.pressed`."""
    buttons = "".join(
        f'<button id="{i}">x</button>' if n else f'<div id="{i}"><button>x</button></div>'
        for n, i in enumerate(ids)
    )
    page.evaluate("html => { document.body.innerHTML = html; window.pressed = []; }", buttons + more)
    page.evaluate(
        "document.querySelectorAll('button').forEach(b => b.onclick = () => pressed.push(b.id || b.parentNode.id))"
    )
    page.evaluate(SCRIPT)


def pressed(page, *keys):
    page.evaluate("window.pressed = []")
    for key in keys:
        page.keyboard.press(key)
    return page.evaluate("window.pressed")


def test_the_keys_of_the_label_desk(page):
    put(page, DESK, '<div id="note"><textarea></textarea></div>')
    keys = ["1", "2", "3", "4", "t", "b", "c", "s", "u", "k", "Enter", "z"]
    assert pressed(page, *keys) == list(DESK)
    assert pressed(page, "ArrowLeft", "ArrowRight", "j") == ["verdict-0", "verdict-1", "next-item"]
    assert pressed(page, "n", "t") == []
    assert page.evaluate("document.activeElement.value") == "t"  # in the note, without the n that led there


def test_the_keys_of_the_failures(page):
    put(page, FAILURES)
    assert pressed(page, "j", "J", "k", "ArrowRight", "ArrowLeft", "1", "Enter") == [
        "next", "next", "previous", "next", "previous",
    ]  # fmt: skip


def test_what_is_hidden_or_disabled_is_not_pressed(page):
    put(page, DESK)
    page.evaluate("document.getElementById('skip').disabled = true")
    page.evaluate("document.getElementById('undo').style.display = 'none'")
    page.evaluate("document.getElementById('zoom').style.visibility = 'hidden'")
    assert pressed(page, "s", "u", "z", "t") == ["verdict-tie"]


def test_modifiers_and_held_keys_do_nothing(page):
    put(page, DESK)
    assert pressed(page, "Control+t", "Alt+t", "Meta+t", "Shift+ArrowRight") == []
    page.keyboard.down("t")
    page.keyboard.down("t")  # a second time without being let go: a repetition
    assert page.evaluate("window.pressed") == ["verdict-tie"]


@pytest.mark.parametrize(
    "field", ["<input>", "<textarea></textarea>", "<select><option>t</select>", "<p contenteditable>x</p>"]
)
def test_nothing_while_writing(page, field):
    put(page, DESK, f'<div class="field">{field}</div>')
    page.evaluate("document.querySelector('.field > *').focus()")
    assert pressed(page, "t", "1", "Enter", "ArrowRight") == []


@pytest.mark.parametrize("kind", ["checkbox", "radio"])
def test_boxes_keep_arrows_and_leave_letters(page, kind):
    put(page, DESK, f'<input type="{kind}" class="field">')
    page.evaluate("document.querySelector('.field').focus()")
    assert pressed(page, "t", "ArrowRight", "Enter") == ["verdict-tie"]


def test_enter_on_a_button_is_that_button(page):
    put(page, DESK)
    page.evaluate("document.getElementById('skip').focus()")
    assert pressed(page, "Enter") == ["skip"]


def test_turned_off_and_on_again(page):
    put(page, DESK)
    page.evaluate("window.rewardscopeKeys.turn(false)")
    assert page.evaluate("localStorage.getItem('rewardscope-keys')") == "off"
    assert pressed(page, "t", "1", "Enter") == []
    page.evaluate("window.rewardscopeKeys.turn(true)")
    assert pressed(page, "t") == ["verdict-tie"]
