import type { CompiledWorkflow } from "../../config/compiled.ts";
import { passesFilters, type Reference } from "./filters.ts";

export type Schedule = NonNullable<CompiledWorkflow["triggers"]>[number]["schedule"];

/** Minutes, hours, days of the month, months, days of the week (0 is Sunday) on which it runs, in UTC. */
interface Cron {
  minutes: Set<number>;
  hours: Set<number>;
  days: Set<number>;
  months: Set<number>;
  weekDays: Set<number>;
  /** Where both kinds of days are given, one of them is enough. */
  eitherDay: boolean;
}

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
/** February 29th on a given day of the week comes back within 40 years. */
const daysToLookAt = 40 * 366;
const monthNames = ["", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const dayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/** When a schedule runs next, later than `afterMs` (since the epoch); undefined: never, as on February 30th. Pure. */
export function nextOccurrence({ cron }: Pick<Schedule, "cron">, afterMs: number): number | undefined {
  const parsed = parseCron(cron);
  if (!parsed) return undefined;
  const first = Math.floor(afterMs / dayMs) * dayMs;
  for (let day = 0; day < daysToLookAt; day++) {
    const startMs = first + day * dayMs;
    if (!isDay(parsed, new Date(startMs))) continue;
    const found = timesOf(parsed, startMs).find((atMs) => atMs > afterMs);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The different crons that start a workflow with these triggers, without those that never come. Tags, and trees on no branch, have none. */
export function cronsOn(triggers: CompiledWorkflow["triggers"], { branch, tag }: Reference): string[] {
  if (branch === undefined || tag !== undefined) return [];
  const schedules = (triggers ?? [])
    .map(({ schedule }) => schedule)
    .filter((schedule) => runsOnBranch(schedule, branch));
  // YAML makes a number of a text that is one, and the compiler lets it pass.
  const crons = new Set(schedules.map(({ cron }: { cron: unknown }) => String(cron)));
  return [...crons].filter((cron) => nextOccurrence({ cron }, 0) !== undefined);
}

/** Whether it runs for a branch. Schedules know no tags. */
export function runsOnBranch({ filters }: Pick<Schedule, "filters">, branch: string): boolean {
  return passesFilters(filters, { branch });
}

function isDay({ days, months, weekDays, eitherDay }: Cron, date: Date): boolean {
  if (!months.has(date.getUTCMonth() + 1)) return false;
  const [day, weekDay] = [days.has(date.getUTCDate()), weekDays.has(date.getUTCDay())];
  return eitherDay ? day || weekDay : day && weekDay;
}

function timesOf({ hours, minutes }: Cron, startMs: number): number[] {
  const times = [...hours].flatMap((hour) => [...minutes].map((minute) => startMs + (hour * 60 + minute) * minuteMs));
  return times.toSorted((a, b) => a - b);
}

/** Undefined for what the compiler would have refused. */
function parseCron(text: string): Cron | undefined {
  const [minute = "", hour = "", day = "", month = "", weekDay = "", ...rest] = text.trim().split(/\s+/);
  const minutes = valuesOf(minute, { from: 0, to: 59 });
  const hours = valuesOf(hour, { from: 0, to: 23 });
  const days = valuesOf(day, { from: 1, to: 31 });
  const months = valuesOf(month, { from: 1, to: 12, names: monthNames });
  const anyWeekDays = valuesOf(weekDay, { from: 0, to: 7, names: dayNames });
  if (!minutes || !hours || !days || !months || !anyWeekDays || rest.length > 0) return undefined;
  // Both 0 and 7 are Sunday.
  const weekDays = new Set([...anyWeekDays].map((value) => value % 7));
  return { minutes, hours, days, months, weekDays, eitherDay: day !== "*" && weekDay !== "*" };
}

function valuesOf(
  field: string,
  { from, to, names = [] }: { from: number; to: number; names?: readonly string[] },
): Set<number> | undefined {
  const valueOf = (text: string): number => {
    const named = text === "" ? -1 : names.indexOf(text.toLowerCase());
    return named >= 0 ? named : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  };
  const values = new Set<number>();
  for (const part of field.split(",")) {
    const [start = "", end = start] = part === "*" ? [String(from), String(to)] : part.split("-", 2);
    const [first, last] = [valueOf(start), valueOf(end)];
    if (!(first >= from && last <= to && first <= last)) return undefined;
    for (let value = first; value <= last; value++) values.add(value);
  }
  return values;
}
