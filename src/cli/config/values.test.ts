import { describe, expect, test } from "vitest";
import type { Io } from "../io.ts";
import { flatten, readValues, typedParameters, typedValues } from "./values.ts";

const io = { cwd: import.meta.dirname } as Io;
const config = `version: 2.1
parameters:
  count: {type: integer}
  fast: {type: boolean}
  version: {type: string}
`;

describe("pipeline parameters", () => {
  test("a value on the command line takes the type that the config declares", async () => {
    const given = await readValues(io, ["count=3", "fast=true", "version=10", "other=1", "empty=", "eq=a=b"]);

    expect(typedParameters(given, config)).toEqual({
      count: 3,
      fast: true,
      version: "10",
      other: "1",
      empty: "",
      eq: "a=b",
    });
  });

  test("a value that is nothing of its type stays text, for the compiler to refuse", async () => {
    expect(typedParameters(await readValues(io, ["count=many", "fast=yes"]), config)).toEqual({
      count: "many",
      fast: "yes",
    });
  });

  test("a map may be written right here, and later values win", async () => {
    const given = await readValues(io, ["count=1", "{count: 2, version: x}", "version=y", "fast: false"]);

    expect(typedParameters(given, config)).toEqual({ count: 2, version: "y", fast: false });
  });

  test("a config that can't be read declares nothing", async () => {
    expect(typedParameters(await readValues(io, ["a=1"]), "a: [")).toEqual({ a: "1" });
  });
});

test("pipeline values take the type that they look like", async () => {
  const given = await readValues(io, ["pipeline.number=7", "pipeline.git.tag=null", "a=true", "b=1.0"]);

  expect(typedValues(given)).toEqual({ "pipeline.number": 7, "pipeline.git.tag": null, a: true, b: "1.0" });
});

test("nested maps are flattened to full names", () => {
  expect(flatten({ pipeline: { git: { branch: "main", tag: null } }, a: [1] })).toEqual({
    "pipeline.git.branch": "main",
    "pipeline.git.tag": null,
    a: [1],
  });
});

test("what is neither a map nor a file is refused in words", async () => {
  await expect(readValues(io, ["nowhere.yml"])).rejects.toThrow("cannot read nowhere.yml: there is no such file");
  await expect(readValues(io, ["{a"])).rejects.toThrow("the map is no map of names to values");
});
