"""Makes ``twistd timecoin`` known to twistd."""

from twisted.application.service import ServiceMaker

timecoin = ServiceMaker("TimeCoin node", "timecoin.tap", "A node of a TimeCoin network.", "timecoin")
