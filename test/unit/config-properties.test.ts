import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { compileConfig, printCompiled } from "../../src/config/index.ts";

type Config = Record<string, unknown>;

const letters = fc.string({ unit: fc.constantFrom("a", "b", "c", "d", "e"), minLength: 1, maxLength: 4 });
const jobNames = fc.uniqueArray(
  letters.map((text) => `job-${text}`),
  { minLength: 1, maxLength: 5 },
);
const step = fc.oneof(
  fc.constant("checkout"),
  letters.map((text) => ({ run: `echo ${text} << parameters.n >>` })),
  letters.map((text) => ({ greet: { who: text } })),
  fc.boolean().map((condition) => ({ when: { condition, steps: [{ run: "make" }] } })),
);
const job = fc.record({ steps: fc.array(step, { maxLength: 4 }), parallelism: fc.integer({ min: 1, max: 5 }) });

/** Ordinary configs: jobs with parameters and commands, a matrix here and there, each job after some of those before it. */
const configs: fc.Arbitrary<Config> = jobNames.chain((names) =>
  fc
    .record({
      jobs: fc.array(job, { minLength: names.length, maxLength: names.length }),
      matrices: fc.array(fc.boolean(), { minLength: names.length, maxLength: names.length }),
      requires: fc.array(fc.nat(), { minLength: names.length, maxLength: names.length }),
    })
    .map(({ jobs, matrices, requires }) => ({
      version: 2.1,
      commands: { greet: { parameters: { who: { type: "string" } }, steps: [{ run: "hello << parameters.who >>" }] } },
      jobs: Object.fromEntries(names.map((name, index) => [name, jobOf(jobs[index])])),
      workflows: {
        main: {
          jobs: names.map((name, index) => ({
            [name]: {
              ...(matrices[index] ? { matrix: { parameters: { n: [1, 2] } } } : { n: index }),
              ...(index > 0 ? { requires: [names[(requires[index] ?? 0) % index]] } : {}),
            },
          })),
        },
      },
    })),
);

function jobOf(body: object | undefined): object {
  return { parameters: { n: { type: "integer" } }, docker: [{ image: "cimg/base:stable" }], ...body };
}

async function print(text: string): Promise<string> {
  const { compiled, diagnostics } = await compileConfig(text);
  expect(diagnostics.filter((one) => one.severity === "error")).toEqual([]);
  return compiled ? printCompiled(compiled) : "";
}

describe("whatever an ordinary config is made of", () => {
  test("it compiles, and to the same each time", async () => {
    await fc.assert(
      fc.asyncProperty(configs, async (config) => {
        const text = stringify(config);

        expect(await print(text)).toBe(await print(text));
      }),
    );
  });

  test("what it compiles to compiles to itself", async () => {
    await fc.assert(
      fc.asyncProperty(configs, async (config) => {
        const once = await print(stringify(config));

        expect(parse(await print(once))).toEqual(parse(once));
      }),
    );
  });

  test("the order of keys makes no difference", async () => {
    await fc.assert(
      fc.asyncProperty(configs, async (config) => {
        expect(parse(await print(stringify(turned(config))))).toEqual(parse(await print(stringify(config))));
      }),
    );
  });

  test("renaming a job everywhere renames it in what comes out, and changes nothing else", async () => {
    await fc.assert(
      fc.asyncProperty(configs, async (config) => {
        const text = stringify(config);
        const renamed = text.replaceAll("job-", "task-");

        expect(await print(renamed)).toBe((await print(text)).replaceAll("job-", "task-"));
      }),
    );
  });
});

/** Every map with its keys in the opposite order; lists stay as they are. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toReversed();
  return Object.fromEntries(entries.map(([key, inner]) => [key, turned(inner)]));
}
