"""Rendering one picture of a synthetic person: scene, camera, shading, caption."""

from __future__ import annotations

import numpy as np
from camera import aim_camera
from composite import background, reduce, tone_curve
from fragments import Fragments, gather_fragments
from geometry import sample_texture, unit
from hair import CURL, draw_hair, strand_texture
from hairline import scalp_share
from head import Head, Part, pose_head
from mesh import HeadMesh
from noise import SkinNoise
from person import Person
from raster import ZBuffer
from scene import BACKGROUNDS, Scene, plastic, sample_scene  # noqa: F401


def render(mesh: HeadMesh, person: Person, scene: Scene, size: int = 128, supersample: int = 2) -> np.ndarray:
    """The picture, u8[size,size,3] sRGB."""
    width = size * supersample
    head = pose_head(mesh, person, scene)
    camera = aim_camera(head, scene, width)
    turned = camera.turn(head.vertices)
    buffer = ZBuffer(width)
    buffer.draw(camera.project(turned), head.triangles)
    grown = draw_hair(head, person, camera, buffer)
    fragments = gather_fragments(head, turned, buffer, grown)

    centre, head_height, half_iod = head.centre, head.height, head.half_iod
    which, kind, position, centred = fragments.triangle, fragments.part, fragments.position, fragments.centred
    local, uv, pixel_normal = fragments.local, fragments.uv, fragments.normal
    noise = SkinNoise(person.seed)
    rough = 1 - scene.smoothness
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
    bumped = unit(pixel_normal - bump_gain * (bump @ camera.rotation.T) * is_skin[:, None])

    skin = person.skin_rgb
    colour = np.tile(skin, (len(which), 1))
    redness = blotch * person.blotches * 0.10 * rough
    colour = colour * (1 + np.stack([redness * 0.6, -redness * 0.9, -redness * 0.7], 1))
    colour *= np.exp(0.115 * rough * pore)[:, None]
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
    lips = sample_texture(mesh.lip_mask, uv) * is_skin
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

    if grown:
        # A shadow of stubble under the first strands makes the hairline fade instead of ending in a step.
        inside = (
            scalp_share(unit((position - head.skull_centre) / head.skull_radii), grown.cut)
            * is_skin
            * (sample_texture(mesh.ear_mask, uv) < 0.3)
        )
        stubble = np.clip(inside * (0.75 + 0.35 * noise.signed(local, 17, "hairs")), 0, 0.9)
        colour = colour * (1 - stubble[:, None]) + hair * 0.6 * stubble[:, None]

    gloss = np.full(len(which), 0.0)
    for part in (Part.LEFT_EYE, Part.RIGHT_EYE):
        eye = kind == part
        if not eye.any():
            continue
        offset = (position[eye] - head.eye_centre[part]) / head.eye_radius[part]
        out = unit(offset)
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

    key = unit(np.array(scene.key))
    hard = scene.light == "hard"
    tint = np.array([1 + scene.warmth, 1.0, 1 - scene.warmth])
    ambient_level, key_level = (0.34, 1.05) if hard else (0.62, 0.72)
    lit = _shadow(project_light(turned, key), head, turned, fragments) if hard else np.ones(len(which))
    facing_light = bumped @ key
    wrap = np.array([0.32, 0.18, 0.12]) * (0.6 + 0.4 * (1 - person.melanin))
    diffuse = np.clip((facing_light[:, None] + wrap) / (1 + wrap), 0, 1) * (0.25 + 0.75 * lit)[:, None]
    sky = 0.78 + 0.22 * bumped[:, 1] + 0.12 * bumped[:, 2]
    occlusion = np.clip(1 - 0.85 * np.clip(fragments.cavity, 0, 1), 0.25, 1)
    chin_shadow = np.clip(1 + (position[:, 1] - (centre[1] - 0.62 * head_height)) / (0.30 * head_height), 0.45, 1)
    occlusion = occlusion * np.where(is_skin & (centred[:, 2] < -0.10 * head_height), chin_shadow, 1)
    light = ambient_level * sky[:, None] * occlusion[:, None] + key_level * diffuse * np.sqrt(occlusion)[:, None]

    half = unit(key + np.array([0, 0, 1]))
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

    if grown:
        for layer in grown.layers:
            chosen = np.nonzero((which >= layer.first) & (which < layer.first + len(layer.triangles)))[0]
            if not len(chosen):
                continue
            radial = unit(fragments.interpolate(grown.directions, chosen))
            crown = np.array([0, 0.94, -0.342])
            if layer.hull:
                tangent = np.tile(np.array([0.0, -1.0, 0.05]), (len(chosen), 1))
                shade_normal = unit(position[chosen] - head.skull_centre - np.array([0, 0.2, 0]) * head_height)
            else:
                tangent = unit(radial * (radial @ crown)[:, None] - crown)
                shade_normal = radial
            azimuth = np.arctan2(radial[:, 0], radial[:, 2] * 0.94 + radial[:, 1] * 0.342)
            polar = np.arccos(np.clip(radial @ crown, -1, 1))
            texture = strand_texture(grown.curly)
            along_v = (polar / np.pi * 256).astype(int) % 512
            if layer.hull:
                along_v = np.abs(position[chosen][:, 1] * 40).astype(int) % 512
            across_u = (
                (azimuth / (2 * np.pi) + 0.5) * 512 + (CURL[grown.curly]) * np.sin(polar * 9 + azimuth * 5)
            ).astype(int) % 512
            strand = texture[along_v, across_u]
            second = texture[along_v, (across_u * 3 + 97) % 512]
            base = hair * (0.55 + 0.9 * strand * (0.6 + 0.4 * second))[:, None] * (0.55 + 0.45 * layer.height)
            turned_normal = shade_normal @ camera.rotation.T
            turned_tangent = unit(tangent @ camera.rotation.T + 0.15 * (strand - 0.5)[:, None])
            lambert = np.clip((turned_normal @ key + 0.3) / 1.3, 0, 1)
            across = np.sqrt(np.clip(1 - (turned_tangent @ half) ** 2, 0, 1))
            sheen = (
                (0.16 * across**40 + 0.05 * across**8)
                * (0.3 if grown.curly else 1)
                * np.clip(turned_normal @ key + 0.2, 0, 1)
            )
            grow_light = ambient_level * (0.7 + 0.3 * turned_normal[:, 1]) + key_level * lambert * (
                0.35 + 0.65 * lit[chosen]
            )
            radiance[chosen] = base * grow_light[:, None] + (sheen * (0.4 + 0.9 * strand) * key_level)[:, None] * (
                0.35 + 0.65 * (hair / hair.max())
            )

    picture = background(scene, width)
    picture[fragments.covered] = radiance * tint * scene.exposure
    return tone_curve(reduce(picture, supersample))


def project_light(turned: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Rotation f64[3,3] whose third axis is the direction `key` the light comes from."""
    side = unit(np.cross(np.array([0.0, 1.0, 0.0]), key))
    return np.stack([side, np.cross(key, side), key])


def _shadow(frame: np.ndarray, head: Head, turned: np.ndarray, fragments: Fragments) -> np.ndarray:
    """Share of key light f64[n] that reaches each pixel: a shadow map with 3 x 3 percentage-closer filtering."""
    seen = turned @ frame.T
    casting = (head.part == Part.SKIN) | (head.part == Part.LASHES)
    used = np.unique(head.triangles[casting][:, :, 0])
    low, high = seen[used].min(0), seen[used].max(0)
    size = 256
    scale = size / max(high[0] - low[0], high[1] - low[1])
    points = np.stack([(seen[:, 0] - low[0]) * scale, (seen[:, 1] - low[1]) * scale, seen[:, 2]], 1)
    buffer = ZBuffer(size)
    buffer.draw(points, head.triangles[head.part == Part.SKIN])
    at = fragments.interpolate(points)
    bias = 0.035
    lit = np.zeros(len(at))
    for dx in (-2, 0, 2):
        for dy in (-2, 0, 2):
            x = np.clip(at[:, 0].astype(int) + dx, 0, size - 1)
            y = np.clip(at[:, 1].astype(int) + dy, 0, size - 1)
            lit += buffer.depth[y, x] < at[:, 2] + bias + 0.012 * (abs(dx) + abs(dy)) / 2
    return lit / 9
