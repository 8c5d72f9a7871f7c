import { get, isText, type Node } from "../parse/node.ts";
import { type Here, report } from "./pass.ts";

/** `triggers: [{schedule: {cron, filters: {branches}}}]`. */
export function checkSchedules(triggers: Node, here: Here): void {
  if (triggers.kind !== "list") return wrong(here, triggers, "`triggers` is a list of schedules.");
  for (const trigger of triggers.items) {
    const schedule = get(trigger, "schedule");
    const cron = get(schedule, "cron");
    if (schedule?.kind !== "map") wrong(here, trigger, "A trigger is a map with `schedule`.");
    else if (!cron || cron.kind !== "scalar") wrong(here, schedule, "A schedule needs `cron`, a text of five fields.");
    else if (isText(cron)) checkCron(cron, here);
  }
}

function wrong(here: Here, at: Node, message: string): void {
  const hint = 'For example `triggers: [{schedule: {cron: "0 4 * * *", filters: {branches: {only: main}}}}]`.';
  report(here, { code: "bad-schedule", at, message, hint });
}

const ranges = [
  { name: "minute", from: 0, to: 59 },
  { name: "hour", from: 0, to: 23 },
  { name: "day of the month", from: 1, to: 31 },
  { name: "month", from: 1, to: 12 },
  { name: "day of the week", from: 0, to: 7 },
];
const names = /^(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)$/i;

function checkCron(node: Node & { value: string }, here: Here): void {
  const fields = node.value.trim().split(/\s+/);
  if (fields.length !== ranges.length)
    return wrong(here, node, `The cron text "${node.value}" has ${fields.length} fields, not 5.`);
  for (const [index, { name, from, to }] of ranges.entries()) {
    const field = fields[index] ?? "";
    const fine = field.split(",").every((part) => part.split("-").every((end) => isIn(end, from, to)));
    if (!fine) return wrong(here, node, `"${field}" is not a ${name} that schedules have.`);
  }
}

function isIn(text: string, from: number, to: number): boolean {
  const [base = "", step] = text.split("/");
  if (step !== undefined && !/^\d+$/.test(step)) return false;
  return base === "*" || names.test(base) || (/^\d+$/.test(base) && Number(base) >= from && Number(base) <= to);
}
