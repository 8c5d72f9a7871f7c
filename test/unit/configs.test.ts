import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { compileConfig, type Diagnostic, type OrbSource, printCompiled } from "../../src/config/index.ts";
import { orbFolder } from "../../src/orbs/index.ts";

const directory = join(import.meta.dirname, "../configs");
const names = (await readdir(directory))
  .filter((file) => /^\d\d-[\w-]+\.yml$/.test(file))
  .map((file) => file.slice(0, -4));

test.each(names)("%s comes out as it is written beside it", async (name) => {
  const given = await readGiven(name);

  const { compiled, diagnostics, orbs } = await compileConfig(await read(`${name}.yml`), {
    file: `${name}.yml`,
    orbs: withoutDetail(orbFolder(join(directory, "orbs"))),
    ...(given.parameters && { pipelineParameters: given.parameters }),
    ...(given.values && { pipelineValues: given.values }),
  });

  const errors = diagnostics.filter((one) => one.severity === "error");
  const [golden, other] = compiled ? [".compiled.yml", ".errors.json"] : [".errors.json", ".compiled.yml"];
  expect(existsSync(join(directory, name + other)), `it has become ${golden}: ${messages(errors)}`).toBe(false);
  const outcome = compiled ? printCompiled(compiled, { orbs }) : `${JSON.stringify(errors.map(essence), null, 2)}\n`;
  await expect(outcome).toMatchFileSnapshot(join(directory, name + golden));
});

test("there are configs to compare", () => {
  expect(names.length).toBeGreaterThan(30);
});

interface Given {
  parameters?: Record<string, unknown>;
  values?: Record<string, unknown>;
}

async function readGiven(name: string): Promise<Given> {
  const file = `${name}.given.yml`;
  if (!existsSync(join(directory, file))) return {};
  const given = parse(await read(file)) as Given;
  return { ...given, ...(given.values && { values: flat(given.values) }) };
}

function flat(values: Record<string, unknown>, prefix = ""): Record<string, unknown> {
  const entries = Object.entries(values).map(([key, value]) =>
    typeof value === "object" && value !== null
      ? flat(value as Record<string, unknown>, `${prefix}${key}.`)
      : { [prefix + key]: value },
  );
  return Object.assign({}, ...entries) as Record<string, unknown>;
}

/** Where the folder lies is said in messages, and differs from machine to machine. */
function withoutDetail(orbs: OrbSource): OrbSource {
  return {
    find: async (reference) => {
      const { detail: _, ...answer } = { detail: "", ...(await orbs.find(reference)) };
      return answer;
    },
  };
}

async function read(file: string): Promise<string> {
  return await readFile(join(directory, file), "utf8");
}

function essence({ code, message, line, column, endColumn, chain, hint }: Diagnostic): object {
  return { code, at: `${line}:${column}-${endColumn}`, chain, message, hint };
}

function messages(errors: Diagnostic[]): string {
  return errors.map((one) => `${one.line}:${one.column} ${one.message}`).join("; ");
}
