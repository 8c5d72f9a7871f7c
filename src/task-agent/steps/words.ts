import { ArchiveError } from "../archive/header.ts";
import type { PackTotals } from "../archive/pack.ts";
import { StepFailure } from "./context.ts";

/** Tells people what is wrong with an archive, where that is the trouble. */
export async function explained<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof ArchiveError)
      throw new StepFailure(`${what} cannot be unpacked: ${error.message}.`, { cause: error });
    if (code?.startsWith("ZSTD_"))
      throw new StepFailure(`${what} cannot be unpacked: it is damaged.`, { cause: error });
    throw error;
  }
}

export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const exponent = Math.min(Math.floor(Math.log2(bytes) / 10), 4);
  return `${(bytes / 1024 ** exponent).toFixed(1)} ${["B", "KiB", "MiB", "GiB", "TiB"][exponent]}`;
}

export function totalsText(totals: PackTotals | undefined): string {
  return `${totals?.entries ?? 0} entries, ${sizeText(totals?.bytes ?? 0)}`;
}
