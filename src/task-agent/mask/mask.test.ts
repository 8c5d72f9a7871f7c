import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Masker } from "./mask.ts";

function masked(secrets: string[], chunks: Buffer[]): string {
  const stream = new Masker(secrets).stream();
  return Buffer.concat([...chunks.map((chunk) => stream.push(chunk)), stream.flush()]).toString("latin1");
}

function maskedText(secrets: string[], text: string): string {
  return masked(secrets, [Buffer.from(text)]);
}

describe("what is masked", () => {
  const secret = "s3cr3t/w+th \"quotes\" & 'ticks'";

  test.each([
    ["itself", secret],
    ["base64", Buffer.from(secret).toString("base64").replace(/=+$/, "")],
    ["lower hex", Buffer.from(secret).toString("hex")],
    ["upper hex", Buffer.from(secret).toString("hex").toUpperCase()],
    ["URL", encodeURIComponent(secret)],
    ["form", encodeURIComponent(secret).replaceAll("%20", "+")],
    ["JSON", JSON.stringify(secret).slice(1, -1)],
    ["shell single quotes", secret.replaceAll("'", String.raw`'\''`)],
    ["xtrace with backslashes", secret.replaceAll(/[^\w@%+=:,./-]/g, (char) => `\\${char}`)],
  ])("finds the value as %s", (_name, form) => {
    expect(maskedText([secret], `before ${form} after`)).toMatch(/^before \*\*\*\*[A-Za-z0-9+/]? after$/);
  });

  test.each([0, 1, 2])("finds base64 of a text in which the value stands at offset %i", (offset) => {
    const text = Buffer.from(`${"x".repeat(offset)}correct-horse-batteryyyy`).toString("base64");

    const output = maskedText(["correct-horse-battery"], text);

    expect(output).toContain("****");
    expect(output.length).toBeLessThanOrEqual("****".length + 12);
  });

  test("masks each line of a value of several lines, with either line end", () => {
    const key = "-----BEGIN KEY-----\nabcdefgh\r\nijklmnop\n-----END KEY-----";

    expect(maskedText([key], "> abcdefgh <\r\n> ijklmnop <")).toBe("> **** <\r\n> **** <");
    expect(maskedText([key], `[${key.replaceAll("\r", "").replaceAll("\n", "\r\n")}]`)).not.toMatch(/abcd|ijkl|KEY/);
  });

  test("masks a value without the space around it, which an unquoted variable loses", () => {
    expect(maskedText([" hunter22\t"], "it is hunter22.")).toBe("it is ****.");
  });

  test("leaves values alone that are short, or true or false", () => {
    expect(maskedText(["abc", "true", "False", ""], "abc true False")).toBe("abc true False");
  });

  test("masks overlapping values as one, neighbours as two", () => {
    expect(maskedText(["abcdef", "defghi"], "-abcdefghi-")).toBe("-****-");
    expect(maskedText(["abcd"], "-abcdabcd-")).toBe("-********-");
    expect(maskedText(["aaaa"], "-aaaaaaa-")).toBe("-****-");
    expect(maskedText(["abcd", "abcdefgh"], "abcdefg abcdefgh")).toBe("****efg ****");
  });
});

describe("streams", () => {
  const secrets = ["hunter2hunter2", "two\nlines-here", "öffentlich-nein", "abcabcabd", "aaaa"];
  const text = Buffer.from(
    `xx hunter2hunter2hunter2 two\nlines-here öffentlich-nein abcabcabcabd aaaaaaa ${Buffer.from("hunter2hunter2").toString("base64")} hunter2`,
  );

  test("gives the same output wherever the stream is cut", () => {
    const whole = masked(secrets, [text]);

    for (let a = 0; a <= text.byteLength; a += 1)
      expect(masked(secrets, [text.subarray(0, a), text.subarray(a)])).toBe(whole);
    expect(
      masked(
        secrets,
        [...text].map((byte) => Buffer.from([byte])),
      ),
    ).toBe(whole);
    expect(whole).not.toContain("hunter2hunter2");
  });

  test("gives the same output for any values, text and cuts", () => {
    const word = fc.stringMatching(/^[ab]{0,7}$/);
    fc.assert(
      fc.property(fc.array(word, { maxLength: 4 }), fc.array(word, { maxLength: 12 }), (values, parts) => {
        const pieces = parts.map((part) => Buffer.from(part));
        const output = masked(values, pieces);
        expect(output).toBe(masked(values, [Buffer.concat(pieces)]));
        expect(values.filter((value) => value.length >= 4 && output.includes(value))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test("holds back only what may be the beginning of a value", () => {
    const stream = new Masker(["password"]).stream();

    expect(stream.push(Buffer.from("prompt: ")).toString()).toBe("prompt: ");
    expect(stream.push(Buffer.from("and pass")).toString()).toBe("and ");
    expect(stream.push(Buffer.from("enger")).toString()).toBe("passenger");
  });

  test("keeps no more than the longest form in memory however long a match grows", () => {
    const stream = new Masker(["aaaa"]).stream();
    const chunk = Buffer.alloc(1 << 20, "a");

    const output = [stream.push(chunk), stream.push(chunk), stream.push(Buffer.from("b")), stream.flush()];

    expect(Buffer.concat(output).toString()).toBe("****b");
  });

  test("passes random bytes through untouched where there is no secret in them", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (chunks) => {
        const input = chunks.map((chunk) => Buffer.from(chunk));
        expect(masked(["a-secret-that-does-not-occur"], input)).toBe(Buffer.concat(input).toString("latin1"));
      }),
    );
  });
});
