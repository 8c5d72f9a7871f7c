import { randomUUID } from "node:crypto";
import { readHostFacts } from "../../engine/docker/index.ts";
import { assessHost, type Finding } from "../../engine/fitness/assess.ts";
import { findEngine, taskAgentImageOf } from "../exec/find-engine.ts";
import { sane, styler } from "../exec/render/text.ts";
import { type ExitCode, exitCode, type Io } from "../io.ts";
import { assessControlPlane } from "./control-plane.ts";
import { assessDisk } from "./disk.ts";
import type { DoctorOptions } from "./options.ts";
import { assessTrial } from "./trial.ts";

const trialLabel = { "dev.cofferdam.role": "helper" };

/** Looks this host over, and says what it found. Rejects with CommandError where there is no engine to look at. */
export async function runDoctor(options: DoctorOptions, io: Io): Promise<ExitCode> {
  const signal = io.interrupted;
  const name = `doctor-${randomUUID().slice(0, 8)}`;
  const { address, engine } = await findEngine(io.env, { helperLabels: trialLabel, signal });
  const facts = await readHostFacts(address, signal);
  const askedAtMs = Date.now();
  const host = options.host ?? io.env["CIRCLE_HOST"] ?? io.env["CIRCLECI_RUNNER_API_URL"];
  const findings = [
    ...assessHost(facts, askedAtMs),
    await assessDisk(facts, address),
    ...(await assessTrial(engine, { name, image: taskAgentImageOf(io.env), labels: trialLabel, signal })),
    ...(host ? await assessControlPlane(host, signal) : []),
  ];
  const isFit = findings.every(({ level }) => level !== "bad");
  if (options.json) io.stdout.write(`${JSON.stringify({ fit: isFit, findings }, null, 2)}\n`);
  else io.stdout.write(render(findings, io));
  if (signal.aborted) return exitCode.interrupted;
  return isFit ? exitCode.success : exitCode.failed;
}

const marks = { ok: "✓", warning: "!", bad: "✗" } as const;
const colours = { ok: "green", warning: "yellow", bad: "red" } as const;

/** What an engine or a server says of itself is foreign text. */
function render(findings: readonly Finding[], io: Io): string {
  const style = styler(io.stdout.isTTY === true && !io.env["NO_COLOR"]);
  const lines = findings.map(({ level, what, next }) => {
    const line = `${style(marks[level], colours[level])} ${sane(what, { colours: false })}`;
    return next === undefined ? line : `${line}\n    ${sane(next, { colours: false })}`;
  });
  const count = (level: Finding["level"]): number => findings.filter((finding) => finding.level === level).length;
  const bad = count("bad");
  const verdict = bad > 0 ? `This host is not fit: ${bad} to mend` : "This host is fit";
  return `${lines.join("\n")}\n\n${verdict}, ${count("warning")} warnings.\n`;
}
