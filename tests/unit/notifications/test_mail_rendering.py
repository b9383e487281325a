"""Every mail in every language: it renders, its amounts are right, and what users wrote stays text."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tallystick import notifications
from tallystick.notifications.alerts import alert_context
from tallystick.notifications.locales import Catalogue, TextError
from tallystick.notifications.models import TEMPLATES, UnknownTemplate
from tallystick.notifications.rendering import Renderer, RenderError
from tallystick.notifications.samples import SAMPLES

LOCALES = ("en", "de", "ja")
FAILURES = (
    "CARD_DECLINED",
    "INSUFFICIENT_FUNDS",
    "INVALID_CARD",
    "DUPLICATE_TRANSACTION",
    "PROCESSING_ERROR",
    "AUTHENTICATION_REQUIRED",
    "AUTHENTICATION_FAILED",
    "AMOUNT_ERROR",
)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer("Example & Söhne", Catalogue())


class _Words(HTMLParser):
    """Collects the text of a page, and the tags it is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self._silent = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._silent = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.text += data


def words(html: str) -> _Words:
    parser = _Words()
    parser.feed(html)
    return parser


def plain(text: str) -> str:
    """`text` with every kind of space as a space: locales use several."""
    return " ".join(text.split())


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_each_mail_renders_in_each_language(renderer: Renderer, template: str, locale: str) -> None:
    mail = renderer.render(template, locale, SAMPLES[template])
    page = words(mail.html)
    assert mail.language == locale
    assert "\n" not in mail.subject
    for part in (mail.subject, mail.text, page.text):
        assert part.strip()
        assert not re.search(r"\{\w|\{\{|%\}|None|Undefined", part)
    assert "<" not in mail.text
    assert mail.text.rstrip().count("\n-- \n") == 1
    assert f'lang="{locale}"' in mail.html
    # Styles are on the elements; what only a media rule can say is kept; nothing is loaded from elsewhere.
    assert 'class="card' in mail.html
    assert 'style="' in mail.html
    assert "prefers-color-scheme: dark" in mail.html
    assert "max-width: 480px" in mail.html
    assert not {"img", "script", "link", "iframe"} & set(page.tags)
    assert not re.search(r"src=|url\(|@import", mail.html)


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_the_languages_differ(renderer: Renderer, template: str) -> None:
    assert len({renderer.render(template, locale, SAMPLES[template]).text for locale in LOCALES}) == len(LOCALES)


@pytest.mark.parametrize(
    ("locale", "amount", "currency", "shown"),
    [
        ("en", 1050, "usd", "$10.50"),
        ("en", 500, "jpy", "¥500"),
        ("en", 5120, "kwd", "KWD5.120"),
        ("de", 123450, "eur", "1.234,50€"),
        ("de", 500, "jpy", "500¥"),
        ("de-AT", 123450, "eur", "€1.234,50"),
        ("ja", 500, "jpy", "￥500"),
        ("ja", 5120, "kwd", "KWD5.120"),
    ],
)
def test_amounts_are_written_as_people_write_them(
    renderer: Renderer, locale: str, amount: int, currency: str, shown: str
) -> None:
    context = {**SAMPLES["payment_confirmation"], "amount": amount, "currency": currency}
    mail = renderer.render("payment_confirmation", locale, context)
    for part in (mail.subject, mail.text, words(mail.html).text):
        assert shown in plain(part).replace(" ", "")


def test_dates_are_in_the_locale(renderer: Renderer) -> None:
    shown = {
        locale: plain(renderer.render("payment_confirmation", locale, SAMPLES["payment_confirmation"]).text)
        for locale in (*LOCALES, "en-GB")
    }
    assert "March 4, 2026, 2:05 PM UTC" in shown["en"]
    assert "4 March 2026, 14:05 UTC" in shown["en-GB"]
    assert "4. März 2026, 14:05 UTC" in shown["de"]
    assert "2026年3月4日 14:05 UTC" in shown["ja"]


@pytest.mark.parametrize("locale", LOCALES)
def test_each_reason_of_a_failure_is_told_in_its_own_words(renderer: Renderer, locale: str) -> None:
    told = {
        code: renderer.render("payment_failed", locale, {**SAMPLES["payment_failed"], "error_code": code}).text
        for code in (*FAILURES, "SOMETHING_NEW")
    }
    assert len(set(told.values())) == len(told)
    assert all(code not in text for code, text in told.items())
    without = renderer.render("payment_failed", locale, {**SAMPLES["payment_failed"], "error_code": None})
    assert without.text == told["SOMETHING_NEW"]


def test_a_refund_is_full_or_partial(renderer: Renderer) -> None:
    part = renderer.render("refund", "en", {**SAMPLES["refund"], "amount": 500, "payment_amount": 2000})
    full = renderer.render("refund", "en", {**SAMPLES["refund"], "amount": 2000, "payment_amount": 2000})
    assert "refunded ¥500 of your payment of ¥2,000" in plain(part.text)
    assert "refunded your payment of ¥2,000 in full" in plain(full.text)
    assert "5 to 10 business days" in part.text
    assert "5 to 10 business days" in full.text


def test_what_is_not_known_is_left_out(renderer: Renderer) -> None:
    context = {**SAMPLES["payment_confirmation"], "description": None, "card_brand": None, "card_last4": None}
    mail = renderer.render("payment_confirmation", "en", context)
    assert "For:" not in mail.text
    assert "Paid with" not in mail.text + mail.html


def test_what_a_user_wrote_is_only_text(renderer: Renderer) -> None:
    nasty = "<script>alert(1)</script>\r\nBcc: x@example.com\n{{ 7*7 }} {amount} \u202egnp.exe\x00 </td>"
    mail = renderer.render("payment_confirmation", "en", {**SAMPLES["payment_confirmation"], "description": nasty})
    page = words(mail.html)
    shown = "<script>alert(1)</script> Bcc: x@example.com {{ 7*7 }} {amount} gnp.exe </td>"
    assert "script" not in page.tags
    assert shown in page.text
    assert f"For: {shown}\n" in mail.text
    assert "\nBcc" not in mail.text
    assert "49" not in page.text.replace("1.234", "")


def test_the_senders_name_is_escaped(renderer: Renderer) -> None:
    mail = renderer.render("refund", "de", SAMPLES["refund"])
    assert "Example &amp; Söhne" in mail.html
    assert "Example & Söhne" in mail.text


@pytest.mark.parametrize("locale", LOCALES)
def test_alerts_of_each_kind_say_what_happened_and_what_to_do(renderer: Renderer, locale: str) -> None:
    payloads: dict[str, dict[str, object]] = {
        "dead_letter": {
            "event_id": "evt_1",
            "event_type": "charge.failed",
            "object_key": "pi_1",
            "error": "no <such> key sk_test_abcDEF123 for bob@example.com",
        },
        "mail_dead": {"mail_id": "0197e4a1-5c3e-7d20-9b54-3f1c0a7d6e21", "template": "refund", "error": "550 no"},
        "refund_failed": {"refund": "re_1", "amount": 1050, "currency": "usd", "reason": None, "payment_id": "p"},
        "second_customer": {"user": "ann", "customer": "cus_2", "other_customer": "cus_1"},
        "invoice_not_finalized": {"invoice": "in_1", "customer": "cus_1", "amount": 1000, "currency": "usd"},
        "second_subscription": {"user": "ann", "subscription": "sub_2", "other_subscription": "sub_1"},
        "subscription_unclaimed": {"subscription": "sub_3", "customer": "cus_9"},
        "dunning_stuck": {"invoice": "in_1", "subscription": "sub_1", "error": "500 from Stripe"},
        "erasure_stuck": {"user": "0197e4a1-5c3e-7d20-9b54-3f1c0a7d6e22", "error": "PAYMENT_NOT_CANCELABLE"},
        "webhook_endpoint_disabled": {
            "webhook_endpoint": "0197e4a1-5c3e-7d20-9b54-3f1c0a7d6e21",
            "failing_since": "2026-03-01T08:00:00+00:00",
            "error": "503",
        },
        "brand_new": {"count": 3, "since": None, "queue_name": "mails"},
    }
    shown = {
        kind: renderer.render("staff_alert", locale, alert_context(f"alert.{kind}", payload))
        for kind, payload in payloads.items()
    }
    assert len({mail.subject for mail in shown.values()}) == len(shown)
    letter = shown["dead_letter"]
    assert "tallystick events replay evt_1" in letter.text
    assert "<code>tallystick events replay evt_1</code>" in re.sub(r'<code style="[^"]*">', "<code>", letter.html)
    assert "no <such> key" in letter.text
    assert "&lt;such&gt;" in letter.html
    assert "bob@" not in letter.text + letter.html
    assert "sk_test_abc" not in letter.text + letter.html
    assert [kind for kind, mail in shown.items() if kind in mail.subject] == ["brand_new"]
    for kind, payload in payloads.items():
        facts = [str(value) for name, value in payload.items() if value and name not in ("error", "amount", "currency")]
        assert all(fact in shown[kind].text for fact in facts if "T08" not in fact)
    assert "2026-03-01T08" not in shown["webhook_endpoint_disabled"].text
    assert "Queue name" in shown["brand_new"].text
    assert "Since" not in shown["brand_new"].text


def test_an_operator_overrides_templates_and_texts(tmp_path: Path) -> None:
    (tmp_path / "refund").mkdir()
    (tmp_path / "refund" / "subject.txt").write_text("Geld zurück: {{ money(amount, currency) }}", encoding="utf-8")
    (tmp_path / "refund" / "body.de.txt").write_text("Nur auf Deutsch, {{ sender }}", encoding="utf-8")
    (tmp_path / "mail.css").write_text("h1 { color: #ff00ff; }")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "en.json").write_text('{"refund": {"title": "Money back"}}')
    (tmp_path / "texts" / "fr.json").write_text('{"refund": {"title": "Votre remboursement"}}')
    renderer = Renderer("Shop", Catalogue(tmp_path), tmp_path)
    english, german, french = (renderer.render("refund", locale, SAMPLES["refund"]) for locale in ("en", "de", "fr"))
    assert english.subject == "Geld zurück: ¥500"
    assert "Money back" in english.text
    assert "When it arrives" in english.text
    assert "#ff00ff" in english.html
    assert german.text == "Nur auf Deutsch, Shop\n"
    assert "Votre remboursement" in french.html
    assert "When it arrives" in french.text
    assert "fr" in Catalogue(tmp_path).languages
    assert renderer.problems() == []


def test_a_broken_override_names_itself(tmp_path: Path) -> None:
    (tmp_path / "refund").mkdir()
    (tmp_path / "refund" / "subject.txt").write_text("{{ no_such_value }}")
    with pytest.raises(RenderError, match=r"refund \(en\).*no_such_value"):
        Renderer("Shop", Catalogue(), tmp_path).render("refund", "en", SAMPLES["refund"])
    problems = Renderer("Shop", Catalogue(), tmp_path).problems()
    assert [problem.partition(":")[0] for problem in problems] == ["refund (de)", "refund (en)", "refund (ja)"]
    (tmp_path / "texts").mkdir()
    for broken in ("[1, 2", "[]", '{"refund": {"title": 1}}', "\xff"):
        (tmp_path / "texts" / "de.json").write_text(broken, encoding="latin-1")
        with pytest.raises(TextError, match=r"texts/de\.json"):
            Catalogue(tmp_path)


def test_a_text_that_asks_for_what_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "en.json").write_text('{"refund": {"title": "Hello {first_name}"}}')
    with pytest.raises(RenderError, match=r"refund\.title.*first_name"):
        Renderer("Shop", Catalogue(tmp_path), tmp_path).render("refund", "en", SAMPLES["refund"])


def test_unknown_mails_and_incomplete_contexts_are_refused(renderer: Renderer) -> None:
    with pytest.raises(UnknownTemplate):
        renderer.render("../secrets", "en", {})
    with pytest.raises(RenderError, match="currency"):
        renderer.render("refund_failed", "en", {"amount": 1})
    with pytest.raises(RenderError):
        renderer.render("refund_failed", "en", {**SAMPLES["refund_failed"], "currency": "xxx"})


def test_all_languages_have_the_same_texts_with_the_same_placeholders() -> None:
    catalogue = Catalogue()
    english = catalogue._texts["en"]
    for locale in LOCALES:
        texts = catalogue._texts[locale]
        assert texts.keys() | {"staff_alert.next_title"} == english.keys() | {"staff_alert.next_title"}
        for key, text in english.items():
            assert set(re.findall(r"\{\w+\}", texts[key])) == set(re.findall(r"\{\w+\}", text)), (locale, key)


def test_every_mail_has_its_files_and_a_sample() -> None:
    folder = Path(notifications.__path__[0]) / "templates"
    assert {path.name for path in folder.iterdir() if path.is_dir()} == TEMPLATES == SAMPLES.keys()
    for name in TEMPLATES:
        assert {path.name for path in (folder / name).iterdir()} == {"subject.txt", "body.txt", "body.html"}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, "ja"),
        ("", "ja"),
        ("de", "de"),
        ("DE_at", "de-AT"),
        ("en-US-x-private", "en-US"),
        ("de_DE.UTF-8", "de-DE"),
        ("ja-Jpan-JP", "ja-JP"),
        ("fr", "ja"),
        ("zz-ZZ", "ja"),
        ("de\nBcc: x", "ja"),
        ("../../etc", "ja"),
        ("d" * 1000, "ja"),
    ],
)
def test_whatever_a_user_has_for_a_locale_ends_in_one_of_ours(wanted: str | None, found: str) -> None:
    assert Catalogue().resolve(wanted, "ja") == found


def test_a_region_that_nobody_knows_is_only_a_language(renderer: Renderer) -> None:
    mail = renderer.render("payment_confirmation", "de-QQ", SAMPLES["payment_confirmation"])
    assert "1.234,50 €" in plain(mail.text)
