-- A prefix as it reads (O as 0, I and L as 1): none may begin another.
CREATE INDEX organizations_by_folded_code_prefix
    ON organizations (replace(replace(replace(code_prefix, 'O', '0'), 'I', '1'), 'L', '1'));
