import { firstTaskStep } from "../../src/protocol/records.ts";
import type { Expectation } from "./scenario.ts";
import type { Story } from "./story.ts";

/** What was seen, in the expectation's own shape and limited to what it names: to be compared as a whole. */
export function seenOf(story: Story, expected: Expectation): Partial<Expectation> {
  const workflows = [...story.workflows.values()].map(({ name, status }) => [name, status] as const);
  return {
    jobs: Object.fromEntries([...story.jobs.values()].map((job) => [job.name, job.status])),
    workflows: Object.fromEntries(workflows.filter(([name]) => name in expected.workflows)),
    reasons: byJob(expected.reasons, (name, text) => {
      const said = [...story.workflows.values()].find((workflow) => workflow.name === name)?.reason ?? "";
      return said.includes(text) ? text : said;
    }),
    steps: byJob(expected.steps, (job) => stepsOf(story, job)),
    output: byJob(expected.output, (job, texts) => texts.filter((text) => holds(story.job(job)?.output ?? "", text))),
    messages: byJob(expected.messages, (job, text) => {
      const said = story.job(job)?.messages.join("\n") ?? "";
      return said.includes(text) ? text : said;
    }),
    attempts: byJob(expected.attempts, (job) => story.job(job)?.attempts ?? 0),
    artifacts: byJob(expected.artifacts, (job) => (story.job(job)?.artifacts ?? []).toSorted()),
    tests: byJob(expected.tests, (job) => {
      const { total, failed } = story.job(job)?.tests ?? { total: 0, failed: 0 };
      return `${total}/${failed}`;
    }),
  };
}

/** The parts of an expectation that are compared. */
export function wantedOf(expected: Expectation): Partial<Expectation> {
  const { jobs, workflows, reasons, steps, output, messages, attempts, artifacts, tests } = expected;
  return { jobs, workflows, reasons, steps, output, messages, attempts, artifacts, tests };
}

function stepsOf(story: Story, job: string): string[] {
  const steps = [...(story.job(job)?.steps ?? [])].filter(([number]) => number >= firstTaskStep);
  return steps.toSorted(([a], [b]) => a - b).map(([, { name, outcome }]) => `${name}: ${outcome}`);
}

function holds(output: string, text: string): boolean {
  return text.startsWith("!") ? !output.includes(text.slice(1)) : output.includes(text);
}

function byJob<T>(wanted: Record<string, T>, see: (job: string, wanted: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(wanted).map(([job, value]) => [job, see(job, value)]));
}
