"""Judging DNS as a SIP phone, a fax mail server and a browser would meet it: observe, judge, remember, tell."""
