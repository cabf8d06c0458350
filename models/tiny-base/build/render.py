"""Rendering one picture of a synthetic person: scene, camera, shading, caption."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from composite import background, reduce, tone_curve
from hairline import HairCut, HairShell, scalp_share
from mesh import HEAD_GROUPS, LASH_GROUPS, HeadMesh
from noise import SkinNoise
from person import Person
from raster import raster
from scene import BACKGROUNDS, EXPRESSIONS, Scene, plastic, sample_scene  # noqa: F401


@lru_cache(maxsize=4)
def _strands(curly: bool) -> np.ndarray:
    import cv2

    noise = np.random.default_rng(11).random((512, 512)).astype(np.float32)
    wide = cv2.GaussianBlur(noise, (0, 0), sigmaX=2.2, sigmaY=2.2 if curly else 30, borderType=cv2.BORDER_REFLECT)
    fine = cv2.GaussianBlur(noise[::-1].copy(), (0, 0), sigmaX=0.8, sigmaY=1.0 if curly else 14)
    mixed = wide / wide.std() * 0.8 + fine / fine.std() * 0.6
    order = np.argsort(np.argsort(mixed.ravel()))
    return (order / order.size).reshape(mixed.shape).astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


def _sample(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    height, width = texture.shape
    x = np.clip(uv[:, 0] * width, 0, width - 1).astype(int)
    y = np.clip((1 - uv[:, 1]) * height, 0, height - 1).astype(int)
    return texture[y, x]


HAIR_SETTINGS = {  # shells, thickness in head heights, hairline softness, strand density
    "cropped": (3, 0.012, 0.16, 0.55),
    "short": (7, 0.055, 0.22, 0.85),
    "curly": (9, 0.13, 0.25, 0.8),
    "long": (7, 0.05, 0.2, 0.8),
}


def render(mesh: HeadMesh, person: Person, scene: Scene, size: int = 128, supersample: int = 2) -> np.ndarray:
    """The picture, u8[size,size,3] sRGB."""
    width = size * supersample
    expression = {
        f"expression/units/caucasian/{k}": v * scene.strength for k, v in EXPRESSIONS[scene.expression].items()
    }
    rest = mesh.morph(person.shape)
    vertices = rest.copy()
    for name, weight in expression.items():
        indices, offsets = mesh.target(name)
        vertices[indices] += weight * offsets
    # Teeth do not follow the mouth's own morphs: narrowed and set back, they stay behind wide and lopsided lips.
    for name in ("helper-upper-teeth", "helper-lower-teeth", "helper-tongue"):
        teeth_vertices = np.unique(mesh.faces[name][:, :, 0])
        vertices[teeth_vertices] = vertices[teeth_vertices] * [0.78, 1, 1] - [0, 0, 0.07]
    eye_vertices = {side: np.unique(mesh.faces[f"helper-{side}-eye"][:, :, 0]) for side in "lr"}
    eye_centre = {side: vertices[v].mean(0) for side, v in eye_vertices.items()}
    centre = (eye_centre["l"] + eye_centre["r"]) / 2
    body = np.unique(mesh.faces["body"][:, :, 0])
    head_height = (rest[body][:, 1].max() - centre[1]) * 2.0
    half_iod = abs(eye_centre["l"][0] - centre[0])

    groups, labels = [], []
    for label, name in enumerate((*HEAD_GROUPS, *LASH_GROUPS)):
        faces = mesh.faces[name]
        keep = vertices[faces[:, :, 0]][:, :, 1].min(1) > centre[1] - head_height * 1.5
        groups.append(faces[keep])
        labels.append(np.full(keep.sum(), label if name not in LASH_GROUPS else 9))
    triangles = np.concatenate(groups)
    label = np.concatenate(labels)

    cy, sy, cp, sp, cr, sr = (f(a) for a in (scene.yaw, scene.pitch, scene.roll) for f in (np.cos, np.sin))
    rotation = (
        np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    )
    pivot = centre + np.array([0, 0.0, -0.36 * head_height])
    # Framed by eyes and head height together: wide-set eyes on a small head must not push the chin out of the picture.
    framed = 0.5 * 2 * half_iod + 0.5 * 0.285 * head_height / 1.10
    pixels = width * 0.285 * scene.scale / framed
    distance = head_height * 4.5

    def project(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        turned = (positions - pivot) @ rotation.T
        zoom = pixels * distance / (distance - turned[:, 2])
        x = width * (0.5 + scene.shift[0] - 0.10 * np.sin(scene.yaw)) + turned[:, 0] * zoom
        y = width * (0.47 + scene.shift[1]) - turned[:, 1] * zoom
        return np.stack([x, y, turned[:, 2]], 1), turned

    screen, turned = project(vertices)
    corner = turned[triangles[:, :, 0]]
    face_normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normal = np.zeros_like(turned)
    for k in range(3):
        np.add.at(normal, triangles[:, k, 0], face_normal)
    normal = _unit(normal)
    # Concave places (nostrils, lid creases, lip corners) see less light: mean neighbour offset along the normal.
    near = np.zeros_like(turned)
    count = np.zeros(len(turned))
    for a, b in ((0, 1), (1, 2), (2, 0)):
        np.add.at(near, triangles[:, a, 0], turned[triangles[:, b, 0]])
        np.add.at(count, triangles[:, a, 0], 1)
    hollow = ((near / np.maximum(count, 1)[:, None] - turned) * normal).sum(1) / (half_iod * 0.12)

    depth = np.full((width, width), -1e9)
    ids = np.full((width, width), -1)
    bary = np.zeros((width, width, 3))
    solid = label != 9
    order = np.concatenate([np.nonzero(solid)[0], np.nonzero(~solid)[0]])
    triangles, label = triangles[order], label[order]
    raster(screen, np.ascontiguousarray(triangles[:, :, 0]), depth, ids, bary, 0)

    head_centre = centre + np.array([0, 0.10 * head_height, -0.40 * head_height])
    radii = np.array([0.34, 0.42, 0.47]) * head_height
    layers: list[tuple[int, np.ndarray, np.ndarray, float]] = []
    first = len(triangles)
    curly = person.hair_style == "curly"
    if person.hair_style in HAIR_SETTINGS:
        shells, thickness, soft, density = HAIR_SETTINGS[person.hair_style]
        cut = HairCut(
            *person.hairline,
            soft=soft,
            curl=6.0 if curly else 1.5,
            open_z=centre[2] - 0.30 * head_height,
            open_x=head_height,
            bottom=centre[1] - head_height * (0.1 + 1.1 * person.hair_length),
            density=density,
            parting=person.parting,
        )
        head_triangles = mesh.faces["body"]
        uv_mid = mesh.uv[head_triangles[:, :, 1]].mean(1)
        ears = _sample(mesh.ear_mask, uv_mid) > 0.3
        mid = vertices[head_triangles[:, :, 0]].mean(1)
        scalp = (mid[:, 1] > centre[1] - 0.42 * head_height) & ~ears
        grow = np.ascontiguousarray(head_triangles[scalp])
        used = np.unique(grow[:, :, 0])
        direction = _unit((vertices - head_centre) / radii)
        # Hair stands off the skull, so it is pushed out from the middle of the head, not along the folded ear skin.
        lift = _unit(vertices - head_centre)
        for n in range(shells):
            height = (n + 0.5) / shells if shells > 1 else 0.5
            moved = vertices.copy()
            amount = thickness * person.hair_volume * head_height * (n / max(shells - 1, 1)) + 0.002 * head_height
            top = np.clip(direction[used, 1] * 0.5 + 0.75, 0.35, 1.1)
            moved[used] += lift[used] * (amount * top)[:, None]
            points, _ = project(moved)
            shell = HairShell(direction, moved, _strands(curly), cut, height, False)
            raster(points, np.ascontiguousarray(grow[:, :, 0]), depth, ids, bary, first, shell)
            layers.append((first, grow, direction, height))
            first += len(grow)
        if person.hair_style == "long":
            hull = np.ascontiguousarray(mesh.faces["helper-hair"])
            points, _ = project(vertices)
            shell = HairShell(direction, vertices, _strands(False), cut, 0.6, True)
            raster(points, np.ascontiguousarray(hull[:, :, 0]), depth, ids, bary, first, shell)
            layers.append((first, hull, direction, 0.6))
            first += len(hull)

    covered = ids >= 0
    which, weight = ids[covered], bary[covered][:, :, None]
    hair_pixel = which >= len(triangles)
    all_triangles = np.concatenate([triangles, *[layer[1] for layer in layers]])
    corners = all_triangles[which]
    pixel_normal = _unit((normal[corners[:, :, 0]] * weight).sum(1))
    uv = (mesh.uv[corners[:, :, 1]] * weight).sum(1)
    position = (vertices[corners[:, :, 0]] * weight).sum(1)
    skin_position = (rest[corners[:, :, 0]] * weight).sum(1)
    cavity = np.clip((hollow[corners[:, :, 0]] * weight[:, :, 0]).sum(1), -0.3, 1.0)
    kind = np.full(len(which), 8)
    kind[~hair_pixel] = label[which[~hair_pixel]]

    noise = SkinNoise(person.seed)
    rough = 1 - scene.smoothness
    local = (skin_position - centre) / (2 * half_iod)  # in interocular distances
    blotch = 0.6 * noise.signed(local, 2.2, "blotches") + 0.4 * noise.signed(local, 5.5, "fine_blotches")
    # Wavelengths of 1/7, 1/12 and 1/20 interocular distance: the coarsest that still read as skin survive 128 px.
    pore = (
        0.8 * noise.signed(local, 7, "pores")
        + noise.signed(local, 12, "fine_pores")
        + 0.9 * noise.signed(local, 20, "finest_pores")
    ) * person.pores
    bump_gain = 0.33 * rough * person.pores
    step = 0.02
    bump = np.stack(
        [
            noise.signed(local + np.eye(3)[a] * step, 9.5, "bumps")
            - noise.signed(local - np.eye(3)[a] * step, 9.5, "bumps")
            for a in range(3)
        ],
        1,
    )
    base_normal = pixel_normal
    is_skin = kind == 0
    bumped = _unit(pixel_normal - bump_gain * (bump @ rotation.T) * is_skin[:, None])

    skin = person.skin_rgb
    colour = np.tile(skin, (len(which), 1))
    redness = blotch * person.blotches * 0.10 * rough
    colour = colour * (1 + np.stack([redness * 0.6, -redness * 0.9, -redness * 0.7], 1))
    colour *= np.exp(0.115 * rough * pore)[:, None]
    centred = skin_position - centre
    cheek = np.exp(
        -(
            ((np.abs(centred[:, 0]) - 1.15 * half_iod) / (0.62 * half_iod)) ** 2
            + ((centred[:, 1] + 1.25 * half_iod) / (0.6 * half_iod)) ** 2
        )
    )
    nose = np.exp(
        -((centred[:, 0] / (0.45 * half_iod)) ** 2 + ((centred[:, 1] + 1.35 * half_iod) / (0.4 * half_iod)) ** 2)
    )
    flush = (cheek + 0.6 * nose) * person.blush * (0.35 + 0.65 * (1 - person.melanin))
    colour *= 1 + flush[:, None] * np.array([0.10, -0.13, -0.10])
    under_eye = np.exp(
        -(
            ((np.abs(centred[:, 0]) - half_iod) / (0.55 * half_iod)) ** 2
            + ((centred[:, 1] + 0.42 * half_iod) / (0.2 * half_iod)) ** 2
        )
    )
    colour *= 1 - under_eye[:, None] * (0.05 + 0.16 * person.age) * np.array([0.8, 1.0, 0.85])
    if person.freckles:
        mask = np.clip(np.exp(-(((centred[:, 1] + 0.9 * half_iod) / (1.3 * half_iod)) ** 2)), 0.12, 1)
        freckle = noise.spots(local, 9.0, "freckles", 0.35 * person.freckles) * mask
        colour *= 1 - 0.62 * rough * freckle[:, None] * np.array([0.55, 0.85, 1.0])
    if person.moles:
        mole = noise.spots(local, 3.2, "moles", 0.035 * person.moles)
        colour *= 1 - np.clip(1.3 * mole, 0, 0.8)[:, None] * (0.5 + 0.5 * rough) * np.array([0.75, 0.9, 0.95])
    if person.age > 0.3:
        wrinkle = noise.signed(local * np.array([1.0, 6.5, 1.0]), 1.4, "wrinkles")
        forehead = np.exp(-(((centred[:, 1] - 1.15 * half_iod) / (0.5 * half_iod)) ** 2))
        colour *= 1 - (0.30 * (person.age - 0.3) * rough * np.clip(wrinkle, 0, 1) * forehead)[:, None]
    hair = np.array(person.hair_rgb)
    if person.beard:
        jaw = 1 / (1 + np.exp(-(-centred[:, 1] - 1.75 * half_iod + 0.35 * np.abs(centred[:, 0])) / (0.16 * half_iod)))
        lip_gap = np.exp(
            -((centred[:, 0] / (0.75 * half_iod)) ** 2 + ((centred[:, 1] + 2.2 * half_iod) / (0.26 * half_iod)) ** 2)
        )
        low = 1 / (1 + np.exp(-(centred[:, 1] + 4.1 * half_iod) / (0.3 * half_iod)))
        side = np.clip((centred[:, 2] + 2.6 * half_iod) / half_iod, 0, 1)
        hairs = np.clip(
            0.6 + 0.55 * noise.signed(local, 17, "hairs") + 0.35 * noise.signed(local, 8, "hair_clumps"), 0, 1
        )
        beard = np.clip(jaw * (1 - 0.75 * lip_gap) * low * side * hairs * person.beard, 0, 0.92) * is_skin
        colour = (
            colour * (1 - beard[:, None]) + (0.25 * skin * 0.35 + 0.75 * np.minimum(hair, skin * 0.55)) * beard[:, None]
        )
    lips = _sample(mesh.lip_mask, uv) * is_skin
    lip_rgb = skin * (1 + person.lip_redness * (np.array([1.02, 0.52, 0.60]) - 1))
    lip_line = 1 + 0.10 * rough * noise.signed(local * np.array([3.0, 0.6, 1.0]), 6, "lip_lines")
    colour = colour * (1 - 0.9 * lips[:, None]) + lip_rgb * lip_line[:, None] * 0.9 * lips[:, None]

    brow_height, brow_thick, brow_length, brow_tilt = person.brow
    along = (np.abs(centred[:, 0]) - half_iod * 1.03) / (half_iod * 0.70 * brow_length)
    arch = head_height * brow_height + head_height * 0.026 * (0.35 - along**2) + head_height * brow_tilt * along
    taper = np.clip(1.15 - 0.45 * np.clip(along + 0.2, 0, 2), 0.35, 1.15)
    across = (centred[:, 1] - arch) / (head_height * 0.0215 * brow_thick * taper)
    hairs = 0.72 + 0.5 * noise.signed(
        np.stack([local[:, 0] + 0.6 * local[:, 1] * np.sign(local[:, 0]), local[:, 1] * 0.35, local[:, 2]], 1),
        22,
        "hairs",
    )
    brow = np.exp(-(np.abs(along) ** 4) - across**2) * (centred[:, 2] > -0.25 * head_height) * is_skin
    brow = np.clip(brow * hairs * 1.15, 0, 0.93)
    brow_rgb = np.minimum(hair * 0.8, skin * np.array([0.42, 0.36, 0.32]))
    colour = colour * (1 - brow[:, None]) + brow_rgb * brow[:, None]

    if layers:
        # A shadow of stubble under the first strands makes the hairline fade instead of ending in a step.
        inside = (
            scalp_share(_unit((position - head_centre) / radii), cut) * is_skin * (_sample(mesh.ear_mask, uv) < 0.3)
        )
        stubble = np.clip(inside * (0.75 + 0.35 * noise.signed(local, 17, "hairs")), 0, 0.9)
        colour = colour * (1 - stubble[:, None]) + hair * 0.6 * stubble[:, None]

    gloss = np.full(len(which), 0.0)
    for group, side in ((1, "l"), (2, "r")):
        eye = kind == group
        if not eye.any():
            continue
        middle = eye_centre[side]
        radius = (vertices[eye_vertices[side]].max(0) - vertices[eye_vertices[side]].min(0))[0] / 2
        offset = (position[eye] - middle) / radius
        out = _unit(offset)
        look = np.array([np.sin(scene.gaze[0] - 0.35 * np.sin(scene.yaw)), np.sin(scene.gaze[1]), 1.0])
        look = look / np.linalg.norm(look)
        angle = np.arccos(np.clip(out @ look, -1, 1))
        spoke = noise.signed(
            np.stack([np.arctan2(out[:, 1] - look[1], out[:, 0] - look[0]) * 3, angle * 2, angle * 0], 1),
            2.5,
            "fine_blotches",
        )
        iris = np.array(person.iris) * (1 + 0.35 * spoke + 0.5 * (angle < 0.32))[:, None]
        iris = iris * np.clip((0.56 - angle) / 0.09, 0.25, 1)[:, None]
        sclera = np.array([0.66, 0.60, 0.56]) * (1 - 0.22 * np.clip(np.abs(offset[:, 0]) - 0.35, 0, 1))[:, None]
        blend = 1 / (1 + np.exp((angle - 0.55) / 0.025))
        shade = sclera * (1 - blend[:, None]) + iris * blend[:, None]
        pupil = 1 / (1 + np.exp((angle - 0.21) / 0.02))
        shade = shade * (1 - pupil[:, None]) + 0.004 * pupil[:, None]
        shade *= np.clip(1.05 - 0.75 * np.clip(offset[:, 1] - 0.12, 0, 1) / 0.5, 0.42, 1)[:, None]
        colour[eye] = shade
        gloss[eye] = 1.0
    teeth = (kind == 3) | (kind == 4)
    colour[teeth] = np.array([0.55, 0.50, 0.42])
    colour[kind == 5] = np.array([0.30, 0.10, 0.09])
    colour[kind == 9] = hair * 0.35
    mouth_inside = (
        is_skin
        & (centred[:, 2] < -0.55 * half_iod)
        & (np.abs(centred[:, 0]) < 1.1 * half_iod)
        & (centred[:, 1] < -1.7 * half_iod)
        & (centred[:, 1] > -2.9 * half_iod)
        & (lips < 0.2)
        & (pixel_normal[:, 2] < 0.25)
    )
    colour[mouth_inside] = np.array([0.07, 0.022, 0.02])
    neckline = centre[1] - head_height * 1.12 + 0.05 * head_height * np.abs(position[:, 0] - centre[0])
    cloth = is_skin & (position[:, 1] < neckline)
    colour[cloth] = np.array(person.cloth) * (1 + 0.12 * noise.signed(local[cloth], 16, "pores"))[:, None]

    key = _unit(np.array(scene.key))
    hard = scene.light == "hard"
    tint = np.array([1 + scene.warmth, 1.0, 1 - scene.warmth])
    ambient_level, key_level = (0.34, 1.05) if hard else (0.62, 0.72)
    lit = (
        _shadow(project_light(turned, key), triangles, label, turned, corners, weight, key, width, hair_pixel)
        if hard
        else np.ones(len(which))
    )
    facing_light = bumped @ key
    wrap = np.array([0.32, 0.18, 0.12]) * (0.6 + 0.4 * (1 - person.melanin))
    diffuse = np.clip((facing_light[:, None] + wrap) / (1 + wrap), 0, 1) * (0.25 + 0.75 * lit)[:, None]
    sky = 0.78 + 0.22 * bumped[:, 1] + 0.12 * bumped[:, 2]
    occlusion = np.clip(1 - 0.85 * np.clip(cavity, 0, 1), 0.25, 1)
    chin_shadow = np.clip(1 + (position[:, 1] - (centre[1] - 0.62 * head_height)) / (0.30 * head_height), 0.45, 1)
    occlusion = occlusion * np.where(is_skin & (centred[:, 2] < -0.10 * head_height), chin_shadow, 1)
    light = ambient_level * sky[:, None] * occlusion[:, None] + key_level * diffuse * np.sqrt(occlusion)[:, None]

    half = _unit(key + np.array([0, 0, 1]))
    shine = np.clip(bumped @ half, 0, 1)
    zone = 0.5 + 0.8 * np.exp(-((centred[:, 0] / (0.9 * half_iod)) ** 2))
    specular = np.where(
        is_skin & ~cloth,
        (0.085 * shine**14 + 0.10 * shine**48) * zone * person.oil * (1 + 0.9 * scene.smoothness) * lit,
        0,
    )
    specular *= np.clip(1 + 0.8 * rough * pore * 0.35, 0.2, 2) * (1 - brow)
    specular = np.where(lips > 0.4, 0.11 * shine**22 * lit, specular)
    specular = np.where(gloss > 0, 1.0 * np.clip(base_normal @ half, 0, 1) ** 90 + 0.03, specular)
    specular = np.where(teeth, 0.12 * shine**20, specular)
    radiance = colour * light + specular[:, None] * key_level

    if layers:
        pixels_hair = np.nonzero(hair_pixel)[0]
        for first_id, grown, direction, height in layers:
            chosen = pixels_hair[(which[pixels_hair] >= first_id) & (which[pixels_hair] < first_id + len(grown))]
            if not len(chosen):
                continue
            radial = _unit((direction[corners[chosen][:, :, 0]] * weight[chosen]).sum(1))
            crown = np.array([0, 0.94, -0.342])
            if height == 0.6 and person.hair_style == "long" and first_id == layers[-1][0]:
                tangent = np.tile(np.array([0.0, -1.0, 0.05]), (len(chosen), 1))
                shade_normal = _unit(position[chosen] - head_centre - np.array([0, 0.2, 0]) * head_height)
            else:
                tangent = _unit(radial * (radial @ crown)[:, None] - crown)
                shade_normal = radial
            azimuth = np.arctan2(radial[:, 0], radial[:, 2] * 0.94 + radial[:, 1] * 0.342)
            polar = np.arccos(np.clip(radial @ crown, -1, 1))
            texture = _strands(curly)
            along_v = (polar / np.pi * 256).astype(int) % 512
            if first_id == layers[-1][0] and person.hair_style == "long":
                along_v = np.abs(position[chosen][:, 1] * 40).astype(int) % 512
            across_u = (
                (azimuth / (2 * np.pi) + 0.5) * 512 + (6 if curly else 1.5) * np.sin(polar * 9 + azimuth * 5)
            ).astype(int) % 512
            strand = texture[along_v, across_u]
            second = texture[along_v, (across_u * 3 + 97) % 512]
            base = hair * (0.55 + 0.9 * strand * (0.6 + 0.4 * second))[:, None] * (0.55 + 0.45 * height)
            turned_normal = shade_normal @ rotation.T
            turned_tangent = _unit(tangent @ rotation.T + 0.15 * (strand - 0.5)[:, None])
            lambert = np.clip((turned_normal @ key + 0.3) / 1.3, 0, 1)
            across = np.sqrt(np.clip(1 - (turned_tangent @ half) ** 2, 0, 1))
            sheen = (
                (0.16 * across**40 + 0.05 * across**8)
                * (0.3 if curly else 1)
                * np.clip(turned_normal @ key + 0.2, 0, 1)
            )
            grow_light = ambient_level * (0.7 + 0.3 * turned_normal[:, 1]) + key_level * lambert * (
                0.35 + 0.65 * lit[chosen]
            )
            radiance[chosen] = base * grow_light[:, None] + (sheen * (0.4 + 0.9 * strand) * key_level)[:, None] * (
                0.35 + 0.65 * (hair / hair.max())
            )

    picture = background(scene, width)
    picture[covered] = radiance * tint * scene.exposure
    return tone_curve(reduce(picture, supersample))


def project_light(turned: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Rotation f64[3,3] whose third axis is the direction `key` the light comes from."""
    side = _unit(np.cross(np.array([0.0, 1.0, 0.0]), key))
    return np.stack([side, np.cross(key, side), key])


def _shadow(frame, triangles, label, turned, corners, weight, key, width, hair_pixel):  # type: ignore[no-untyped-def]
    """Share of key light f64[n] that reaches each pixel: a shadow map with 3 x 3 percentage-closer filtering."""
    seen = turned @ frame.T
    solid = (label == 0) | (label == 9)
    used = np.unique(triangles[solid][:, :, 0])
    low, high = seen[used].min(0), seen[used].max(0)
    size = 256
    scale = size / max(high[0] - low[0], high[1] - low[1])
    points = np.stack([(seen[:, 0] - low[0]) * scale, (seen[:, 1] - low[1]) * scale, seen[:, 2]], 1)
    depth = np.full((size, size), -1e9)
    raster(
        points,
        np.ascontiguousarray(triangles[label == 0][:, :, 0]),
        depth,
        np.full((size, size), -1),
        np.zeros((size, size, 3)),
        0,
    )
    at = (points[corners[:, :, 0]] * weight).sum(1)
    bias = 0.035
    lit = np.zeros(len(at))
    for dx in (-2, 0, 2):
        for dy in (-2, 0, 2):
            x = np.clip(at[:, 0].astype(int) + dx, 0, size - 1)
            y = np.clip(at[:, 1].astype(int) + dy, 0, size - 1)
            lit += depth[y, x] < at[:, 2] + bias + 0.012 * (abs(dx) + abs(dy)) / 2
    return lit / 9
