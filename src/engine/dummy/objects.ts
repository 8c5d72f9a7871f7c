import type { OwnedObject } from "../engine.ts";
import type { DummyContainer } from "./container.ts";

type Labels = Readonly<Record<string, string>>;

/** What a container is to whoever lists: itself, with these labels, and the volume of its workspace, with the plan's alone. */
export function objectsOf({ id, isRunning, plan }: DummyContainer, labels: Labels): OwnedObject[] {
  const own: OwnedObject = { kind: "container", id, labels, running: isRunning };
  if (plan.workspace === undefined) return [own];
  return [own, { kind: "volume", id: `${id}-workspace`, labels: plan.labels, running: false }];
}

export function helperObject({ name, labels }: { name: string; labels: Labels }): OwnedObject {
  return { kind: "container", id: name, labels: { ...labels }, running: true };
}

export function sharedObject({ name, labels }: { name: string; labels: Labels }): OwnedObject {
  return { kind: "volume", id: name, labels: { ...labels }, running: false };
}
