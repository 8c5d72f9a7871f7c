// What we use of undici. Its front door loads fetch, WebSocket and caches as well, which takes longer than all the rest.
// By path, because the name stands for this file here.
const whole = () => require("../../node_modules/undici/index.js");

module.exports = {
  Pool: require("../../node_modules/undici/lib/dispatcher/pool.js"),
  Agent: class {
    constructor(...args) {
      return new (whole().Agent)(...args);
    }
  },
  request: (...args) => whole().request(...args),
};
