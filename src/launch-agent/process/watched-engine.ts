import { type Engine, type EngineErrorCode, isEngineError } from "../../engine/engine.ts";

/**
 * The same engine; every call that fails is told by the code of its error and its name, before its caller learns of it. Cut-off calls are no
 * failures.
 */
export function watchedEngine(engine: Engine, onError: (code: EngineErrorCode, call: string) => void): Engine {
  return new Proxy(engine, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(member, target, args);
        if (result instanceof Promise)
          result.catch((error: unknown) => {
            if (isEngineError(error)) onError(error.code, String(property));
          });
        return result;
      };
    },
  });
}
