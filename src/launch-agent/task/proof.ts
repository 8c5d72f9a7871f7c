/**
 * What a hand-over to a container of the pool is proven by, once it is signed: labels cannot say which task such a container
 * has, and no other container may claim to have it.
 */
export function handOverSubject(container: string, { task, attempt }: { task: string; attempt: number }): string {
  return `${container}\0${task}\0${attempt}`;
}
