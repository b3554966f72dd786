'use strict';
// Words in two languages, and elements of the page.

let lang = (navigator.language || '').startsWith('ja') ? 'ja' : 'en';

/** One of two texts. */
const t = (en, ja) => (lang === 'ja' ? ja : en);

/** An element; attributes that start with "on" are listeners, children may be text. */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const two = (number) => String(number).padStart(2, '0');

/** A moment as charts write it, by this device's clock. */
function minute(date) {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** 32 hexadecimal digits. */
function drawnId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
