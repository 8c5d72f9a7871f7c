import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { aTask } from "../../../test/fakes/tasks.ts";
import { createLog } from "./create-log.ts";
import { Redactor, secretsOfTask } from "./redactor.ts";
import { textLine } from "./text-line.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cofferdam-log-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

function written(format: "json" | "text" | "color" | "none", facts: object, redactor = new Redactor()): string {
  const file = join(directory, "log");
  const { log, close } = createLog(
    {
      CIRCLECI_RUNNER_LOGGING_LEVEL: "info",
      CIRCLECI_RUNNER_LOGGING_FORMAT: format,
      CIRCLECI_RUNNER_LOGGING_FILE: file,
    },
    redactor,
  );
  log.debug({}, "too quiet");
  log.info(facts, "something");
  close();
  return format === "none" ? "" : readFileSync(file, "utf8");
}

const hostile = { name: 'a"b\n{"level":60}\u001b[31m\u009b2J\u2028end' };

test("writes one line of JSON an event, that says what it was given", () => {
  const text = written("json", hostile);

  expect(text.trimEnd().split("\n")).toHaveLength(1);
  expect(text).not.toContain("\u001b");
  expect(JSON.parse(text)).toMatchObject({ level: 30, msg: "something", ...hostile });
});

test.each(["text", "color"] as const)(
  "writes one line of %s an event, that nothing in it can break or color",
  (format) => {
    const text = written(format, hostile);

    expect(text.trimEnd().split(/[\n\u2028]/)).toHaveLength(1);
    expect(text.replaceAll(/^\S+ \u001b\[36mINFO \u001b\[0m/g, "")).not.toMatch(/[\u001b\u009b]/);
    expect(text).toContain("something name=");
  },
);

test("writes nothing where that is the format, and nothing that is less severe than wanted", () => {
  expect(written("none", {})).toBe("");
  expect(written("text", {})).not.toContain("too quiet");
});

test("leaves plain words bare", () => {
  expect(textLine('{"level":40,"time":"T","msg":"m","a":"b/c:1","n":3}', { color: false })).toBe(
    "T WARN  m a=b/c:1 n=3\n",
  );
});

test("takes secrets out of every line, also as JSON writes them, until the last task that has them is gone", () => {
  const redactor = new Redactor();
  const first = redactor.add(["line\nof secret", "s3cret-value", "short"]);
  const second = redactor.add(["s3cret-value"]);
  const facts = { error: "no s3cret-value here: line\nof secret; short" };

  expect(written("json", facts, redactor)).toContain('"error":"no [secret] here: [secret]; short"');
  first();
  first();
  expect(redactor.redact("s3cret-value")).toBe("[secret]");
  second();
  expect(redactor.redact("s3cret-value")).toBe("s3cret-value");
});

test("knows what of a task is secret: its masked values, and the passwords of its images", () => {
  const auth = { username: "u", password: "registry-password" };
  const images = [{ image: "x", environment: {}, auth }];

  expect(secretsOfTask(aTask({ work: { secrets: ["a"] }, container: { images } }))).toEqual(["a", "registry-password"]);
});
