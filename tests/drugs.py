"""Scaffolds of real drugs, with attachment points set by hand where a chemist would vary them."""

from __future__ import annotations

SPELLINGS = ("*", "[*]", "[*:{}]", "[{}*]")
"""Of attachment points; a number is a label."""


def spelled(scaffold: str, spelling: str) -> str:
    """Write the points of a scaffold, given as ``*``, in one of the four ways."""
    first, *rest = scaffold.split("*")
    return first + "".join(spelling.format(1 + i) + part for i, part in enumerate(rest))


REAL = {
    "aspirin": ("*Oc1ccccc1C(*)=O", "CC(=O)Oc1ccccc1C(=O)O"),
    "ibuprofen": ("*c1ccc(cc1)[C@H](C)C(*)=O", "CC(C)Cc1ccc(cc1)[C@H](C)C(=O)O"),
    "celecoxib": ("*c1cc(*)nn1-c1ccc(*)cc1", "Cc1ccc(cc1)-c1cc(C(F)(F)F)nn1-c1ccc(cc1)S(N)(=O)=O"),
    "imatinib": (
        "*c1ccc(cc1)C(=O)Nc1ccc(C)c(N*)c1",
        "CN1CCN(Cc2ccc(cc2)C(=O)Nc2ccc(C)c(Nc3nccc(n3)-c3cccnc3)c2)CC1",
    ),
    "sildenafil": (
        "*c1nn(C)c2c1nc(*)[nH]c2=O",
        "CCCc1nn(C)c2c1nc([nH]c2=O)-c1cc(ccc1OCC)S(=O)(=O)N1CCN(C)CC1",
    ),
    "diazepam": ("*N1c2ccc(*)cc2C(*)=NCC1=O", "CN1c2ccc(Cl)cc2C(=NCC1=O)c1ccccc1"),
    "fluoxetine": ("*CCC(O*)c1ccccc1", "CNCCC(Oc1ccc(cc1)C(F)(F)F)c1ccccc1"),
    "atorvastatin": (
        "*c1c(C(=O)N*)c(*)c(*)n1*",
        "CC(C)c1c(C(=O)Nc2ccccc2)c(-c2ccccc2)c(-c2ccc(F)cc2)n1CC[C@@H](O)C[C@@H](O)CC(=O)O",
    ),
    "omeprazole": ("*c1ccc2[nH]c(nc2c1)S(=O)C*", "COc1ccc2[nH]c(nc2c1)S(=O)Cc1ncc(C)c(OC)c1C"),
    "metoprolol": ("*c1ccc(OCC(O)CN*)cc1", "COCCc1ccc(OCC(O)CNC(C)C)cc1"),
    "warfarin": ("*C(*)c1c(O)c2ccccc2oc1=O", "CC(=O)CC(c1ccccc1)c1c(O)c2ccccc2oc1=O"),
    "caffeine": ("*n1cnc2c1c(=O)n(*)c(=O)n2*", "Cn1cnc2c1c(=O)n(C)c(=O)n2C"),
    "lidocaine": ("*CC(=O)Nc1c(*)cccc1*", "CCN(CC)CC(=O)Nc1c(C)cccc1C"),
    "penicillin G": (
        "CC1(C)S[C@@H]2[C@H](N*)C(=O)N2[C@H]1C(*)=O",
        "CC1(C)S[C@@H]2[C@H](NC(=O)Cc3ccccc3)C(=O)N2[C@H]1C(=O)O",
    ),
    "gefitinib": ("*c1cc2ncnc(N*)c2cc1*", "COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1OCCCN1CCOCC1"),
    "oseltamivir": (
        "*OC(=O)C1=C[C@@H](O*)[C@H](N*)[C@@H](N)C1",
        "CCOC(=O)C1=C[C@@H](OC(CC)CC)[C@H](NC(C)=O)[C@@H](N)C1",
    ),
    "paroxetine": ("C1CNC[C@H]([C@@H]1*)CO*", "C1CNC[C@H]([C@@H]1c2ccc(F)cc2)COc3ccc4c(c3)OCO4"),
    "losartan": (
        "*c1nc(*)c(*)n1Cc1ccc(cc1)-c1ccccc1*",
        "CCCCc1nc(Cl)c(CO)n1Cc1ccc(cc1)-c1ccccc1-c1nn[nH]n1",
    ),
    "tamoxifen": (
        "*/C(=C(\\*)c1ccc(O*)cc1)c1ccccc1",
        "CC/C(=C(\\c1ccccc1)c1ccc(OCCN(C)C)cc1)c1ccccc1",
    ),
    "ciprofloxacin": (
        "O=C(O)c1cn(*)c2cc(*)c(F)cc2c1=O",
        "O=C(O)c1cn(C2CC2)c2cc(N3CCNCC3)c(F)cc2c1=O",
    ),
    "haloperidol": ("OC1(*)CCN(*)CC1", "OC1(CCN(CCCC(=O)c2ccc(F)cc2)CC1)c1ccc(Cl)cc1"),
    "sitagliptin": (
        "*[C@@H](CC(=O)N1CCn2c(C1)nnc2*)C*",
        "N[C@@H](CC(=O)N1CCn2c(C1)nnc2C(F)(F)F)Cc1cc(F)c(F)cc1F",
    ),
    "moclobemide, linker": ("*c1ccc(Cl)cc1.*N1CCOCC1", "O=C(NCCN1CCOCC1)c1ccc(Cl)cc1"),
}
"""Scaffolds with points as ``*``, and the drugs that they are of."""

REFUSED = {
    "cisplatin, platinum": ("*N[Pt](Cl)(Cl)N", "elements Pt, expected elements of the model"),
    "bortezomib, boron": ("*N[C@@H](CC(C)C)B(O)O", "elements B, expected elements"),
    "liothyronine, iodine": ("*c1cc(I)c(O*)c(I)c1", "elements I, expected elements"),
    "carnitine, a charge": ("*OC(CC(=O)O)C[N+](C)(C)C", r"has token '\[N\+\]', expected tokens of"),
    "a label of carbon": ("*[13CH2]c1ccccc1", r"has token '\[13CH2\]'"),
    "squalene, too long": (f"*{'CC(C)=CC' * 24}", r"has at least \d+ tokens .* at most 100"),
    "metoprolol, a salt": ("*c1ccc(OCC(O)CNC(C)C)cc1.Cl", r"fragment 2 .*\(Cl\) has no attachment"),
    "two drugs": ("*c1ccccc1.NC(=O)C", r"fragment 2 .* has no attachment point, expected \*"),
    "aspirin, no point": ("CC(=O)Oc1ccccc1C(=O)O", r"has no attachment point, expected \*"),
    "aspirin, an R group": ("[R1]Oc1ccccc1C(=O)O", r"write an R group as \[\*:1\]"),
    "aspirin, half a label": ("*Oc1ccccc1 |$_R1", "expected SMILES alone"),
    "haloperidol, a ring atom": ("OC1CC*CC1", "has 2 bonds, expected 1: to change an atom"),
    "warfarin, a ring left open": ("*C(*)c1c(O)c2ccccc2oc1=O2", "not readable SMILES: ring"),
    "caffeine, a bond too many": ("*[nH]1cnc2c1c(=O)n(C)c(=O)n2C", "not readable SMILES: valence"),
    "lidocaine, a bond too many": ("*CC(=O)(C)Nc1ccccc1", "not readable SMILES: valence"),
    "imidazole, no hydrogen": ("*c1cncn1", "not readable SMILES: kekulisation"),
    "freon, nothing to grow at": ("*F.*Cl.*", "has 0 bonds, expected 1"),
}
"""Scaffolds that every model of the drugs above rejects, with the reason."""
