import { expect, test } from "vitest";
import { capacityOf, Options } from "./options.ts";

const gibibyte = 1024 ** 3;

function options(given: Record<string, string> = {}): Options {
  return Options.parse({ CIRCLECI_RUNNER_API_URL: "https://control.example", ...given });
}

test("hands out the host, but for what it needs itself", () => {
  const host = { cpus: 8, memoryBytes: 16 * gibibyte };

  expect(capacityOf(options(), host)).toEqual({ tasks: 8, memoryBytes: 15 * gibibyte, cpus: 8 });
  expect(capacityOf(options({ CIRCLECI_RUNNER_MAX_CONCURRENT_TASKS: "20" }), host)).toMatchObject({ tasks: 20 });
});

test("takes no more tasks than there are gigabytes, and one at least", () => {
  expect(capacityOf(options(), { cpus: 64, memoryBytes: 4.5 * gibibyte })).toMatchObject({ tasks: 3 });
  expect(capacityOf(options({ COFFERDAM_CPUS: "0.5" }), { cpus: 1, memoryBytes: gibibyte })).toMatchObject({
    tasks: 1,
  });
});

test("takes one task at a time where one is all that it runs", () => {
  const single = options({ CIRCLECI_RUNNER_MODE: "single-task", CIRCLECI_RUNNER_MAX_CONCURRENT_TASKS: "5" });

  expect(capacityOf(single, { cpus: 8, memoryBytes: 16 * gibibyte })).toMatchObject({ tasks: 1 });
});
