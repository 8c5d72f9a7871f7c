import { ClassSettings } from "../../protocol/resource-class.ts";
import type { Route } from "../control-plane.ts";
import { allClasses } from "../store/access.ts";
import type { Db } from "../store/store.ts";

/** Sends jobs to the classes that are in the store, with the settings that they have now. A job that names none goes to `defaultClass`. */
export async function storedRoute(
  db: Db,
  defaultClass: string | undefined,
): Promise<(resourceClass: string | undefined) => Route | undefined> {
  const classes = new Map((await allClasses(db)).map((row) => [row.name, row]));
  return (resourceClass = defaultClass) => {
    const row = resourceClass === undefined ? undefined : classes.get(resourceClass);
    return row && { queue: row.name, ...ClassSettings.parse(JSON.parse(row.settings_json ?? "{}")) };
  };
}
