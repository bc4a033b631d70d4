// What the browser keeps for the console: nothing longer than this page where it may keep nothing.

/** A storage of the browser. One that is blocked, as with cookies, throws at each use. */
function storage(name) {
  const own = new Map();
  const attempt = (work) => {
    try {
      return work(window[name]);
    } catch {
      return null;
    }
  };
  return {
    get: (key) => own.get(key) ?? attempt((kept) => kept.getItem(key)),
    set(key, value) {
      own.set(key, value);
      attempt((kept) => kept.setItem(key, value));
    },
    remove(key) {
      own.delete(key);
      attempt((kept) => kept.removeItem(key));
    },
  };
}

/** As long as the tab is open. */
export const tab = storage('sessionStorage');

/** For the next visit. */
export const browser = storage('localStorage');
