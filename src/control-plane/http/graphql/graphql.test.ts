import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { executeGraphql, type Fields, field } from "./execute.ts";

let calls: string[] = [];
const long = "x".repeat(1024 * 1024);
const Args = z.strictObject({ id: z.string(), tags: z.array(z.string()).default([]) });
const query: Fields = {
  version: "1",
  nothing: null,
  thing: field(Args, ({ id, tags }) => ({ id, tags, long, inner: { n: 1, yes: true } })),
  things: () => [{ id: "a" }, { id: "b" }],
};
const mutation: Fields = {
  set: field(z.strictObject({ to: z.string() }), async ({ to }) => {
    await Promise.resolve();
    calls.push(to);
    return to;
  }),
};

async function ask(document: string, variables: Record<string, unknown> = {}) {
  return await executeGraphql({ query, mutation }, { query: document, variables });
}

describe("answers", () => {
  test.each([
    ["{ version nothing }", { version: "1", nothing: null }],
    ["query Name { v: version, w: version }", { v: "1", w: "1" }],
    ["{ things { id } }", { things: [{ id: "a" }, { id: "b" }] }],
    [
      '{ thing(id: "\\u0041\\"{") { id inner { n yes } } } # words',
      { thing: { id: 'A"{', inner: { n: 1, yes: true } } },
    ],
    ['{ thing(id: "a", tags: ["x", ENUM]) { tags } }', { thing: { tags: ["x", "ENUM"] } }],
    ['query ($tags: [String!]! = ["d"]) { thing(id: "a", tags: $tags) { tags } }', { thing: { tags: ["d"] } }],
  ])("%s", async (document, data) => {
    expect(await ask(document)).toEqual({ data });
  });

  test("with the variables that are given, and without those that are not", async () => {
    const document = "query ($id: String!, $tags: [String]) { thing(id: $id, tags: $tags) { id tags } }";

    expect(await ask(document, { id: "b", tags: ["t"] })).toEqual({ data: { thing: { id: "b", tags: ["t"] } } });
    expect(await ask(document, { id: "b" })).toEqual({ data: { thing: { id: "b", tags: [] } } });
  });

  test("does one mutation after the other", async () => {
    calls = [];

    await ask('mutation { a: set(to: "1") b: set(to: "2") c: set(to: "3") }');

    expect(calls).toEqual(["1", "2", "3"]);
  });
});

describe("refuses in words", () => {
  test.each([
    ["{ unknown }", 'there is no field "unknown" here'],
    ["{ __proto__ }", 'there is no field "__proto__" here'],
    ["{ constructor }", 'there is no field "constructor" here'],
    ["{ things }", 'say which fields of "things" are asked for'],
    ["{ version { x } }", '"version" has no fields'],
    ["{ thing(id: 1) { id } }", "id: Invalid input: expected string, received number"],
    ['{ thing(id: "a", more: 1) { id } }', ': Unrecognized key: "more"'],
    ["query ($id: String!) { thing(id: $id) { id } }", "the variable $id is missing"],
    ["{ thing(id: $id) { id } }", "the variable $id is not declared"],
    ["subscription { version }", "a subscription is not understood here"],
    ["{ ...fragment }", "character 3 of the document is not understood here"],
    ["{ version", "the document ends too early"],
    ["{ version } { version }", "a document has one operation, and no fragments, here"],
    ['{ thing(id: """a""") { id } }', "character 13 of the document is not understood here"],
    ["{ a".repeat(20), "fields are at most 12 deep"],
    [`{ ${"version ".repeat(201)} }`, "a document asks for at most 200 fields"],
    [`{ ${" ".repeat(40_000)} }`, "a document has at most 32768 characters"],
    [`{ thing(id: "a", tags: ${"[".repeat(5_000)}) }`, "a value has too many lists inside one another"],
    [
      `{ ${Array.from({ length: 20 }, (_unused, index) => `t${index}: thing(id: "a") { long }`).join(" ")} }`,
      "the answer would be too long: ask for less at once",
    ],
  ])("%.60s", async (document, message) => {
    expect(await ask(document)).toEqual({ data: null, errors: [{ message }] });
  });

  test("any text gets an answer", async () => {
    const word = fc.constantFrom(
      "{",
      "}",
      "(",
      ")",
      "[",
      "]",
      "$",
      ":",
      "!",
      "=",
      '"',
      "thing",
      "id",
      "query",
      "1",
      " ",
    );

    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(word, fc.string())), async (words) => {
        expect(await ask(words.join(""))).toHaveProperty("data");
      }),
    );
  });
});
