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
    if (!isField(field, range)) return wrong(here, node, `"${field}" is not a ${range.name}.`);
    if (isPortable(field, range)) continue;
    const message = `CircleCI's schedules have no "${field}" for a ${range.name}: no steps, no ranges in lists, no ranges of days of the week.`;
    report(here, { code: "odd-schedule", at: node, message, hint: "Write a list of values: `0,15,30,45`." });
  }
}

type Range = (typeof ranges)[number];

/** A list of values, ranges and steps, as cron has them. */
function isField(field: string, range: Range): boolean {
  return field.split(",").every((part) => {
    const [base = "", step, more] = part.split("/");
    if (more !== undefined || (step !== undefined && !/^[1-9]\d*$/.test(step))) return false;
    const ends = base.split("-");
    return base === "*" || (ends.length <= 2 && ends.every((end) => isValue(end, range)));
  });
}

function isPortable(field: string, { name }: Range): boolean {
  if (field.includes("/")) return false;
  return !field.includes("-") || (!field.includes(",") && name !== "day of the week");
}

function isValue(text: string, { from, to }: Range): boolean {
  return names.test(text) || (/^\d+$/.test(text) && Number(text) >= from && Number(text) <= to);
}
