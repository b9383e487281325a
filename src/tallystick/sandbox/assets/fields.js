// What each field of the Payment Element takes: how it is written while typing, and what is wrong with it.

const FACTS = document.body.dataset;
const TEST_NUMBERS = new Set(FACTS.cards.split(" "));
const TEST_ACCOUNTS = new Set(FACTS.accounts.split(" "));
const TEST_ROUTING = "110000000";
/** Business time of the sandbox, which may be ahead of this machine's. */
const NOW = new Date(Number(FACTS.now) * 1000);

const BRANDS = [
  { name: "visa", starts: /^4/, lengths: [16], gaps: [4, 8, 12] },
  { name: "mastercard", starts: /^(5[1-5]|2(2[2-9]|[3-6]|7[01]|720))/, lengths: [16], gaps: [4, 8, 12] },
  { name: "amex", starts: /^3[47]/, lengths: [15], gaps: [4, 10], cvc: 4 },
  { name: "discover", starts: /^6(011|4[4-9]|5)/, lengths: [16], gaps: [4, 8, 12] },
  { name: "diners", starts: /^3(0|6|8)/, lengths: [14, 16], gaps: [4, 8, 12] },
  { name: "jcb", starts: /^35/, lengths: [16], gaps: [4, 8, 12] },
  { name: "unionpay", starts: /^62/, lengths: [16, 19], gaps: [4, 8, 12, 16] },
];
const UNKNOWN = { name: "unknown", lengths: [16], gaps: [4, 8, 12] };

const digits = (value) => value.replace(/\D/g, "");

function brandOf(value) {
  const number = digits(value);
  return BRANDS.find((brand) => brand.starts.test(number)) || UNKNOWN;
}

function passesLuhn(number) {
  let sum = 0;
  [...number].reverse().forEach((digit, index) => {
    const doubled = Number(digit) * (1 + (index % 2));
    sum += doubled > 9 ? doubled - 9 : doubled;
  });
  return sum % 10 === 0;
}

/** Each function answers the code of what is wrong, or nothing. */
const CHECKS = {
  number(value) {
    const number = digits(value);
    const { lengths } = brandOf(number);
    if (number.length < lengths[0]) return "incomplete_number";
    if (passesLuhn(number) && TEST_NUMBERS.has(number)) return "";
    if (!lengths.includes(number.length)) return "incomplete_number";
    return passesLuhn(number) ? "not_test_card" : "invalid_number";
  },

  expiry(value) {
    const given = digits(value);
    if (given.length < 4) return "incomplete_expiry";
    const [month, year] = [Number(given.slice(0, 2)), 2000 + Number(given.slice(2))];
    const [thisMonth, thisYear] = [NOW.getUTCMonth() + 1, NOW.getUTCFullYear()];
    if (month < 1 || month > 12) return "invalid_expiry_month";
    if (year < thisYear) return "invalid_expiry_year_past";
    if (year > thisYear + 50) return "invalid_expiry_year";
    return year === thisYear && month < thisMonth ? "invalid_expiry_month_past" : "";
  },

  cvc(value, { number = "" }) {
    return digits(value).length < (brandOf(number).cvc || 3) ? "incomplete_cvc" : "";
  },

  country: () => "",

  postalCode(value, { country }) {
    return value && country === "US" && !/^\d{5}(-?\d{4})?$/.test(value) ? "incomplete_zip" : "";
  },

  name: (value) => (value.trim() ? "" : "incomplete_name"),

  email(value) {
    if (!value.trim()) return "incomplete_email";
    return /^\S+@\S+\.\S+$/.test(value.trim()) ? "" : "invalid_email";
  },

  routingNumber(value) {
    if (value.length < 9) return "incomplete_routing_number";
    return value === TEST_ROUTING ? "" : "invalid_routing_number";
  },

  accountNumber(value) {
    if (value.length < 4) return "incomplete_account_number";
    return TEST_ACCOUNTS.has(value) ? "" : "not_test_account";
  },

  iban(value) {
    const iban = value.replace(/\s/g, "");
    if (iban.length < 15) return "incomplete_iban";
    const turned = (iban.slice(4) + iban.slice(0, 4)).replace(
      /[A-Z]/g,
      (letter) => letter.charCodeAt(0) - 55,
    );
    if (!/^\d+$/.test(turned) || BigInt(turned) % 97n !== 1n) return "invalid_iban";
    return TEST_ACCOUNTS.has(iban) ? "" : "not_test_iban";
  },
};
/** Codes that Stripe's own has no word for, as it would name the nearest. */
const PUBLIC_CODES = {
  not_test_card: "invalid_number",
  not_test_account: "invalid_account_number",
  not_test_iban: "invalid_iban",
};

/** How a value is written while it is typed. `erasing` leaves a separator that was just deleted alone. */
const FORMATS = {
  number(value) {
    const { lengths, gaps } = brandOf(value);
    const number = digits(value).slice(0, lengths.at(-1));
    return [...number].map((digit, index) => (gaps.includes(index) ? ` ${digit}` : digit)).join("");
  },

  expiry(value, erasing) {
    // Browsers fill in, and people paste, years of four digits.
    let given = digits(value).replace(/^(\d\d)20(\d\d)$/, "$1$2");
    if (/^[2-9]/.test(given) || /^1[3-9]/.test(given) || /^\d\s*\//.test(value)) given = `0${given}`;
    const [month, year] = [given.slice(0, 2), given.slice(2, 4)];
    if (month.length < 2 || (erasing && !year)) return month;
    return `${month} / ${year}`;
  },

  cvc: (value, _erasing, { number = "" }) => digits(value).slice(0, brandOf(number).cvc || 3),
  routingNumber: (value) => digits(value).slice(0, 9),
  accountNumber: (value) => digits(value).slice(0, 17),
  iban: (value) =>
    value
      .toUpperCase()
      .replace(/[^A-Z0-9]/g, "")
      .slice(0, 34)
      .replace(/(.{4})(?=.)/g, "$1 "),
};

/** When this many characters are there, a mistake is shown at once, not only when the field is left. */
const FULL = {
  number: (value) => digits(value).length >= brandOf(value).lengths.at(-1),
  expiry: (value) => digits(value).length === 4,
};

/** Rewrite an input in its format and keep the cursor behind the same character. */
function reformat(input, name, erasing, values) {
  const format = FORMATS[name];
  if (!format) return;
  const old = input.value;
  const written = format(old, erasing, values);
  if (written === old) return;
  const solid = /[0-9A-Z]/i;
  const behind = [...old.slice(0, input.selectionStart)].filter((char) => solid.test(char)).length;
  const atEnd = input.selectionStart === old.length;
  input.value = written;
  let place = 0;
  for (let seen = 0; place < written.length && seen < behind; place += 1)
    if (solid.test(written[place])) seen += 1;
  if (atEnd) place = written.length;
  if (document.activeElement === input) input.setSelectionRange(place, place);
}
