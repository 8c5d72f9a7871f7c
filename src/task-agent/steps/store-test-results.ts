import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { TestResult } from "../../protocol/agent-api.ts";
import type { StepOutcome } from "../../protocol/records.ts";
import type { StoreTestResultsStep } from "../../protocol/task.ts";
import { resolvePath } from "../workspace/places.ts";
import { type StepContext, succeeded } from "./context.ts";
import { parseJunit } from "./junit.ts";
import { sizeText } from "./words.ts";

const maxFileBytes = 100 * 1024 * 1024;
const maxFiles = 20_000;
const maxTests = 200_000;
const maxDepth = 32;

/** Reads JUnit XML, a file or a directory of them, and uploads what it says. What cannot be read is told and left out. */
export async function storeTestResults(step: StoreTestResultsStep, context: StepContext): Promise<StepOutcome> {
  const { output, places, channel, signal } = context;
  const path = resolvePath(step.path, places.home, places.workingDirectory);
  const files = findFiles(path, 0).slice(0, maxFiles);
  const tests: TestResult[] = [];
  for (const file of files) {
    // A turn for the channel between files.
    await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    for (const result of readResults(file, context)) tests.push(result);
  }
  if (tests.length === 0) {
    output.say(`No test results found at ${path}. JUnit XML files whose names end in .xml are read.`);
    return succeeded;
  }
  if (tests.length > maxTests) output.say(`Only the first ${maxTests} of ${tests.length} results are stored.`);
  const body = Buffer.from(JSON.stringify({ tests: tests.slice(0, maxTests) }));
  const send = async function* (): AsyncGenerator<Buffer, void, undefined> {
    yield body;
  };
  await channel.ask({ op: "store-test-results", step: context.number }, { signal, send, receive: async () => {} });
  const failed = tests.filter(({ result }) => result === "failure" || result === "error").length;
  output.say(`Stored ${tests.length} test results from ${files.length} files, ${failed} of them failed`);
  return succeeded;
}

function findFiles(path: string, depth: number): string[] {
  // The path itself may be a link, what is found below it not.
  const stats = (depth === 0 ? statSync : lstatSync)(path, { throwIfNoEntry: false });
  if (stats?.isFile()) return depth === 0 || path.endsWith(".xml") ? [path] : [];
  if (!stats?.isDirectory() || depth > maxDepth) return [];
  return readdirSync(path)
    .sort()
    .flatMap((name) => findFiles(join(path, name), depth + 1));
}

function readResults(file: string, context: StepContext): TestResult[] {
  try {
    const { size } = lstatSync(file);
    if (size > maxFileBytes) throw new Error(`it is over ${sizeText(maxFileBytes)}`);
    return parseJunit(readFileSync(file, "utf8"));
  } catch (error) {
    context.output.say(`Left out ${file}: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}
