"""What agents may do, and who has to sign: facts, decisions and approvals.

`facts` says what a program does, `requests` puts it as a question, and `engine` answers by the
Cedar text of a policy version. `services` alone write: votes and approvals by the rules in
`approvals`, policy versions by those of `readiness`. `forms` write rules, `sentences` read them
out, and `starter` is what a workspace begins with.
"""
