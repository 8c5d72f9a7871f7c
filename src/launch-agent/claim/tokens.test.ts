import { expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { Secret } from "../../lib/secret.ts";
import { ApiFailure } from "../api/failure.ts";
import { ClassTokens } from "./tokens.ts";

const never = new AbortController().signal;
const refused = new ApiFailure("who are you", { status: 401, code: "unauthorized" });

function tokensOf(names: (string | undefined)[], answers: Map<string, string | ApiFailure>) {
  let nowMs = 0;
  const clock = { ...systemClock, monotonic: () => nowMs };
  const asked: string[] = [];
  const errors: object[] = [];
  const tokens = new ClassTokens({
    tokens: names.map((name, index) => ({
      token: new Secret(`t${index + 1}`),
      ...(name === undefined ? {} : { name }),
    })),
    api: {
      classOf: async (token) => {
        asked.push(token.reveal());
        const answer = answers.get(token.reveal()) ?? refused;
        if (answer instanceof ApiFailure) throw answer;
        return { resource_class: answer };
      },
    },
    clock,
    log: { debug() {}, info() {}, warn() {}, error: (facts) => errors.push(facts) },
  });
  const usable = async () => (await tokens.usable(never)).map((token) => token.reveal());
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { tokens, usable, pass, asked, errors };
}

test("asks about each token once, and again after a claim that failed", async () => {
  const { tokens, usable, asked } = tokensOf(
    [undefined, "ns/two"],
    new Map([
      ["t1", "ns/one"],
      ["t2", "ns/two"],
    ]),
  );

  await expect(usable()).resolves.toEqual(["t1", "t2"]);
  await usable();
  expect(asked).toEqual(["t1", "t2"]);
  tokens.doubt();
  await usable();

  expect(asked).toEqual(["t1", "t2", "t1", "t2"]);
  expect(tokens.classes).toEqual(["ns/one", "ns/two"]);
});

test("leaves out a token that is refused, says it once, and takes it when it is accepted later", async () => {
  const answers = new Map<string, string | ApiFailure>([["t1", "ns/one"]]);
  const { usable, pass, errors } = tokensOf(["ns/one", "ns/two"], answers);

  await expect(usable()).resolves.toEqual(["t1"]);
  pass(61_000);
  await expect(usable()).resolves.toEqual(["t1"]);
  expect(errors).toEqual([{ class: "ns/two", error: "who are you", code: "unauthorized" }]);

  answers.set("t2", "ns/two");
  await expect(usable()).resolves.toEqual(["t1"]);
  pass(61_000);
  await expect(usable()).resolves.toEqual(["t1", "t2"]);
});

test("refuses a token that is one of another class than the operator named", async () => {
  const { usable, errors } = tokensOf(["ns/two"], new Map([["t1", "ns/one"]]));

  await expect(usable()).rejects.toMatchObject({ status: 403, message: "the token is one of ns/one, not of ns/two" });
  expect(errors).toHaveLength(1);
});

test("fails when all tokens are refused, and when nobody answers", async () => {
  const down = new ApiFailure("down", { code: "no-answer" });

  await expect(tokensOf([undefined], new Map()).usable()).rejects.toBe(refused);
  await expect(
    tokensOf(
      [undefined, undefined],
      new Map<string, string | ApiFailure>([
        ["t1", "ns/a"],
        ["t2", down],
      ]),
    ).usable(),
  ).rejects.toBe(down);
});
