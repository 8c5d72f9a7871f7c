import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import type { Result } from "../test/faults/run.ts";

/**
 * `npm test`, after the setup: every static check, then every test, one kind after the other, because those on a real engine compare
 * what stands on it before and after. Prints the counts at the end. Words on the command line are vitest's: then only vitest runs.
 */
interface Part {
  name: string;
  vitest: string[];
  /** Runs against another engine than the machine's own, which this script brings: `start` prints its address. */
  engineScript?: string;
  /** Starts an engine of its own. */
  startsEngine?: boolean;
}

/** A real engine has its moments. What needed a second try is told with `retry`. */
const onceMore = "--retry=1";

const parts: Part[] = [
  { name: "unit tests and scenarios", vitest: ["--project", "unit", "--project", "scenarios"] },
  { name: "tests on PostgreSQL and S3", vitest: ["--project", "stores"] },
  { name: "tests on the engine", vitest: ["--project", "docker", onceMore] },
  {
    name: "the engine's contract on Docker 26.1",
    vitest: ["--project", "docker", "test/docker/engine.test.ts", "test/docker/walls.test.ts"],
    engineScript: "scripts/setup-engine-26.sh",
  },
  {
    name: "the engine's contract and jobs on Podman 4.3",
    vitest: ["--project", "podman", onceMore],
    engineScript: "scripts/setup-podman.sh",
  },
  { name: "acceptance tests", vitest: ["--project", "acceptance", onceMore] },
  { name: "the quickstart from nothing", vitest: ["--project", "bare", onceMore], startsEngine: true },
];
const faults = "faults, a round of npm run test:faults";
const whyNoEngine = "only root can start an engine for it, and Docker has to be installed";

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const words = process.argv.slice(2);
const reports = await mkdtemp(join(tmpdir(), "cofferdam-test-"));
const lines: string[] = [];
/** What failed, and why, said once more at the end: whoever reads a long log begins there. */
const failures: string[] = [];
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
try {
  if (words.length > 0) await runPart({ name: "tests", vitest: words });
  else {
    await runChecks();
    for (const part of parts) await runPart(part);
    await runFaults();
  }
} finally {
  await rm(reports, { recursive: true, force: true });
}
if (failures.length > 0) process.stdout.write(`\n── what failed\n${failures.join("\n")}\n`);
process.stdout.write(
  `\n${lines.join("\n")}\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`,
);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;

async function runChecks(): Promise<void> {
  const code = await run(["node", "scripts/check.ts"], {});
  count("static checks", { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 });
}

async function runPart({ name, vitest, engineScript, startsEngine = false }: Part): Promise<void> {
  const began = performance.now();
  process.stdout.write(`\n── ${name}\n`);
  if (engineScript !== undefined && !mayHaveSecondEngine()) {
    lines.push(`NOT RUN: ${name}: this machine has no Debian sources, or is not root's, to take a second engine from`);
    return;
  }
  if (startsEngine && !mayStartEngine()) {
    lines.push(`NOT RUN: ${name}: ${whyNoEngine}`);
    return;
  }
  const report = join(reports, `${lines.length}.json`);
  try {
    const env = engineScript ? { COFFERDAM_TEST_ENGINE: await startEngine(engineScript) } : {};
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const code = await run(["vitest", "run", ...reporters, ...vitest], env);
    const seconds = Math.round((performance.now() - began) / 1000);
    count(`${name} (${seconds} s)`, await countsOf(name, report, code));
  } finally {
    if (engineScript !== undefined) await run(["sh", engineScript, "stop"], {});
  }
}

/** They kill an engine of their own, with the machine's own dockerd. */
async function runFaults(): Promise<void> {
  const began = performance.now();
  process.stdout.write(`\n── ${faults}\n`);
  if (!mayStartEngine()) {
    lines.push(`NOT RUN: ${faults}: ${whyNoEngine}`);
    return;
  }
  const results = await roundOfFaults([]);
  const failed = results.filter(({ ok }) => !ok);
  // Four at once on a machine of two cores may run into their limits: those that did are done again, by themselves, and that is told.
  const again = failed.length > 0 ? await roundOfFaults(["--only", failed.map(({ id }) => id).join(",")]) : [];
  const wrong = again.filter(({ ok }) => !ok);
  failures.push(...wrong.map(({ id, words }) => `fault ${id}: ${words}`));
  const seconds = Math.round((performance.now() - began) / 1000);
  const name = again.length > 0 ? `${faults}, ${again.map(({ id }) => id).join(" ")} twice` : faults;
  count(`${name} (${seconds} s)`, { passed: results.length - wrong.length, failed: wrong.length, skipped: 0 });
}

type Fault = Pick<Result, "id" | "ok" | "words">;

async function roundOfFaults(words: string[]): Promise<Fault[]> {
  const report = join(reports, `faults-${lines.length}-${words.length}.json`);
  await run(["node", "scripts/test-faults.ts", "--json", report, ...words], {});
  if (!existsSync(report)) return [{ id: "", ok: false, words: "the round wrote no report" }];
  return (JSON.parse(await readFile(report, "utf8")) as { results: Fault[] }).results;
}

/** What is read of vitest's report in JSON. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
  }[];
}

/** A run that counted no failure and failed all the same (an unhandled error, a file that does not load) has failed. */
async function countsOf(name: string, report: string, code: number): Promise<Counts> {
  if (!existsSync(report)) {
    failures.push(`${name}: vitest wrote no report`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(
    await readFile(report, "utf8"),
  ) as Report;
  for (const { name: file, status, message, assertionResults } of testResults) {
    const failed = assertionResults.filter((test) => test.status === "failed");
    for (const { fullName, failureMessages } of failed) tell(file, fullName, failureMessages.join("\n"));
    if (status === "failed" && failed.length === 0) tell(file, "did not load, or its hooks failed", message);
  }
  const unseen = code !== 0 && numFailedTests === 0;
  if (unseen && failures.length === 0) failures.push(`${name}: vitest ended with ${code}; its output says why`);
  return { passed: numPassedTests, failed: unseen ? 1 : numFailedTests, skipped: numPendingTests };
}

function tell(file: string, test: string, message: string): void {
  const words = message.split("\n").filter((line) => line.trim() !== "");
  failures.push([`${relative(process.cwd(), file)}: ${test}`, ...words.slice(0, 12)].join("\n    "));
}

function count(name: string, counts: Counts): void {
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  lines.push(`${counts.failed > 0 ? "FAIL" : "ok  "} ${name}: ${counts.passed} passed, ${counts.failed} failed`);
}

function mayStartEngine(): boolean {
  return process.getuid?.() === 0 && existsSync("/usr/sbin/dockerd");
}

function mayHaveSecondEngine(): boolean {
  return process.getuid?.() === 0 && existsSync("/etc/debian_version") && existsSync("/usr/bin/dpkg-deb");
}

async function startEngine(script: string): Promise<string> {
  const { stdout } = await promisify(execFile)("sh", [script, "start"]);
  return stdout.trim();
}

async function run(command: string[], env: Record<string, string>): Promise<number> {
  const [file = "", ...args] = command;
  const child = spawn(file, args, { stdio: "inherit", env: { ...process.env, ...env } });
  return await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}
