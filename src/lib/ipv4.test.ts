import { expect, test } from "vitest";
import { merged, overlap, parseIpv4, rangeText } from "./ipv4.ts";

function range(text: string) {
  const parsed = parseIpv4(text);
  if (!parsed) throw new Error(`${text} is no network`);
  return parsed;
}

test("addresses and networks are read, and what is beyond the prefix is cut off", () => {
  const texts = ["10.1.2.3", "10.1.2.3/8", "0.0.0.0/0", "255.255.255.255/32"];
  expect(texts.map((text) => rangeText(range(text)))).toEqual([
    "10.1.2.3",
    "10.0.0.0-10.255.255.255",
    "0.0.0.0-255.255.255.255",
    "255.255.255.255",
  ]);
});

test("what is no IPv4 network is undefined", () => {
  const texts = [
    "",
    "10.0.0",
    "10.0.0.256",
    "10.0.0.0/33",
    "10.0.0.0/8/8",
    "10.0.0.0/",
    "fd00::/8",
    "a.b.c.d",
    " 1.1.1.1",
  ];
  expect(texts.map(parseIpv4)).toEqual(texts.map(() => undefined));
});

test("networks overlap where they share an address", () => {
  expect(overlap(range("10.0.0.0/8"), range("10.9.0.0/16"))).toBe(true);
  expect(overlap(range("10.9.0.0/16"), range("10.0.0.0/8"))).toBe(true);
  expect(overlap(range("10.0.0.0/24"), range("10.0.1.0/24"))).toBe(false);
});

test("ranges that touch or overlap become one", () => {
  const ranges = ["10.0.1.0/24", "10.0.0.0/24", "192.0.2.7", "10.0.0.128/25", "192.0.2.9"].map(range);
  expect(merged(ranges).map(rangeText)).toEqual(["10.0.0.0-10.0.1.255", "192.0.2.7", "192.0.2.9"]);
});
