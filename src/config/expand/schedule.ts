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
  for (const [index, range] of ranges.entries()) {
    const field = fields[index] ?? "";
    if (!isField(field, range)) return wrong(here, node, `"${field}" is not a ${range.name} that schedules have.`);
  }
}

/** One value, a list of values, or one range: no steps, and no ranges of days, as CircleCI has it. */
function isField(field: string, { name, from, to }: (typeof ranges)[number]): boolean {
  const ends = field.split("-");
  if (ends.length === 2 && name !== "day of the week") return ends.every((end) => isValue(end, from, to));
  return field === "*" || field.split(",").every((value) => isValue(value, from, to));
}

function isValue(text: string, from: number, to: number): boolean {
  return names.test(text) || (/^\d+$/.test(text) && Number(text) >= from && Number(text) <= to);
}
