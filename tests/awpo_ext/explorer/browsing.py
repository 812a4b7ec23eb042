"""What the browser tests do with a page."""

import json
from urllib.parse import urlsplit

from selenium.webdriver.support.ui import WebDriverWait

PATIENCE_S = 30


class Page:
    def __init__(self, driver, base):
        self.driver, self.base = driver, base

    def open(self, address=""):
        """Load the page anew at an address such as "#/rollouts?f=unscored"."""
        self.driver.get("about:blank")
        self.driver.get_log("browser"), self.driver.get_log("performance")
        self.driver.get(self.base + address)
        self.until("return document.body.dataset.read")
        return self

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, script, *arguments):
        """Wait for a script that returns something true, and return it."""
        return WebDriverWait(self.driver, PATIENCE_S, 0.02).until(lambda _: self.js(script, *arguments))

    def text(self, selector="body"):
        return self.until("return document.querySelector(arguments[0])?.innerText", selector)

    def texts(self, selector):
        return self.js("return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)", selector)

    def click(self, selector):
        self.until("return document.querySelector(arguments[0])", selector)
        self.js("document.querySelector(arguments[0]).click()", selector)

    def press(self, key):
        self.js("document.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], bubbles: true}))", key)

    def rollout(self):
        """The open rollout's text."""
        return self.text("article.rollout")

    def shown(self):
        """How many rollouts the list has."""
        return int(self.text("#shown").replace("\u202f", "").replace(" ", "").replace("\u00a0", ""))

    def complaints(self):
        """Errors in the console: violations of the policy among them."""
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] == "SEVERE"]

    def hosts(self):
        """Hosts that the page asked for anything."""
        found = set()
        for line in self.driver.get_log("performance"):
            message = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                address = urlsplit(message["params"]["request"]["url"])
                if address.scheme not in ("data", "about"):
                    found.add(address.hostname if address.scheme.startswith("http") else address.scheme)
        return found
