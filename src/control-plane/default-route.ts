import { ClassSettings } from "../protocol/resource-class.ts";
import type { ControlPlaneOptions } from "./control-plane.ts";

/** A class is its own queue, with limits that suit most jobs. Whether the class exists is decided where it is used. */
export const defaultRoute: ControlPlaneOptions["route"] = (resourceClass) =>
  resourceClass === undefined ? undefined : { queue: resourceClass, ...ClassSettings.parse({}) };
