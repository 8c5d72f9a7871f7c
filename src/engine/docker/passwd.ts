import type { Account } from "../engine.ts";

/** `user` as images and plans name it: `uid`, `uid:gid`, `name`, `name:group`; empty: root. */
export interface UserFiles {
  passwd: string;
  group: string;
}

/** Root without a look at any file; undefined for everybody else. */
export function rootAccount(user: string): Account | undefined {
  const isRoot = ["", "root", "0", "0:0", "root:root", "0:root", "root:0"].includes(user);
  return isRoot ? { uid: 0, gid: 0, home: "/root" } : undefined;
}

/**
 * Looks a user up as engines do: a number needs no entry, its group is then 0; a name does. Undefined: no such user, or
 * no such group.
 */
export function findAccount(user: string, files: UserFiles): Account | undefined {
  const [name = "", group] = user.split(":");
  const entry = lines(files.passwd).find((fields) => fields[0] === name || (isNumber(name) && fields[2] === name));
  const uid = isNumber(name) ? Number(name) : numberOf(entry?.[2]);
  const gid = group === undefined || group === "" ? (numberOf(entry?.[3]) ?? 0) : findGroup(group, files.group);
  if (uid === undefined || gid === undefined) return undefined;
  const home = entry?.[5];
  return { uid, gid, home: home?.startsWith("/") === true ? home : uid === 0 ? "/root" : "/" };
}

function findGroup(group: string, text: string): number | undefined {
  if (isNumber(group)) return Number(group);
  return numberOf(lines(text).find((fields) => fields[0] === group)?.[2]);
}

function lines(text: string): string[][] {
  return text.split("\n").map((line) => line.trim().split(":"));
}

function isNumber(text: string): boolean {
  return /^\d{1,10}$/.test(text);
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && isNumber(text) ? Number(text) : undefined;
}
