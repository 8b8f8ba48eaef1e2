"""The story world's words: lists by the slot of the sentence patterns that they fill."""

from __future__ import annotations

GIRLS = """
Lily Mia Anna Emma Rosa Nora Ella Ruby Zoe Alice Clara Daisy Eva Grace Hannah Ivy Jane Kate Lucy
Maya Nina Olive Penny Sara Tina Una Vera Wendy Amy Bella Carla Dora Elsa Fay Gina Heidi Iris
Julia Kira Laura Maria Nelly Paula Rita Sonia Tilda
""".split()
BOYS = """
Tom Ben Sam Max Leo Jack Finn Noah Adam Carl Dan Eric Felix George Harry Ian Jonas Karl Liam
Mark Nick Oscar Paul Ralph Simon Theo Victor Will Alan Bruno Cody David Elmer Fred Gus Hugo Ivan
Joel Kevin Lewis Martin Nathan Otto Peter Robert
""".split()

# kind of place -> its adjectives, places, and the animals that live there
SETTINGS: dict[str, tuple[list[str], list[str], list[str]]] = {
    "forest": (
        "green shady quiet mossy".split(),
        "forest grove glade thicket clearing wood pinewood".split(),
        "squirrel fox deer owl hedgehog woodpecker weasel".split(),
    ),
    "farm": (
        "sunny busy wide muddy".split(),
        "farm barn farmyard stable pasture cornfield henhouse".split(),
        "pony goat sheep cow rooster donkey turkey".split(),
    ),
    "sea": (
        "sandy windy salty bright".split(),
        "beach bay harbor shore cove pier lagoon".split(),
        "seal gull crab dolphin pelican turtle lobster".split(),
    ),
    "river": (
        "shallow winding clear foggy".split(),
        "river brook creek stream riverbank ford canal".split(),
        "otter duck beaver frog heron trout salmon".split(),
    ),
    "mountain": (
        "snowy rocky steep high".split(),
        "mountain hill valley cliff canyon ridge cave".split(),
        "eagle bear marmot ram wolf hawk falcon".split(),
    ),
    "garden": (
        "flowery tidy tiny fragrant".split(),
        "garden orchard greenhouse lawn courtyard vineyard hedge".split(),
        "robin rabbit snail mole bee sparrow toad".split(),
    ),
    "town": (
        "crowded noisy cheerful narrow".split(),
        "town market square bakery fountain alley station".split(),
        "cat dog pigeon poodle mouse magpie terrier".split(),
    ),
    "home": (
        "cozy warm wooden dusty".split(),
        "kitchen attic cellar bedroom hallway cottage porch".split(),
        "kitten puppy hamster parrot canary cricket ferret".split(),
    ),
    "school": (
        "friendly large modern brick".split(),
        "school classroom library gym playground cafeteria museum".split(),
        "gerbil goldfish tortoise lizard spider raven budgie".split(),
    ),
    "jungle": (
        "steamy wild tangled leafy".split(),
        "jungle rainforest swamp clump village treehouse bamboo".split(),
        "monkey tiger toucan elephant panther gecko gorilla".split(),
    ),
    "desert": (
        "hot dry golden empty".split(),
        "desert oasis dune camp plain mesa ruin".split(),
        "camel meerkat scorpion jackal roadrunner vulture lion".split(),
    ),
    "ice": (
        "frozen icy chilly glittering".split(),
        "glacier igloo tundra iceberg fjord meadowland snowfield".split(),
        "penguin walrus reindeer husky ermine whale lynx".split(),
    ),
    "castle": (
        "grand ancient royal stony".split(),
        "castle palace tower fortress ballroom dungeon gatehouse".split(),
        "dragon horse peacock swan bat greyhound griffin".split(),
    ),
    "park": (
        "grassy pleasant spacious peaceful".split(),
        "park meadow pond field zoo campsite bandstand".split(),
        "goose butterfly chipmunk swallow badger lamb finch".split(),
    ),
}

HELPER_ADJECTIVES = """
kind clever brave gentle wise old young little big friendly cheerful playful curious quick
patient polite jolly sleepy shy fluffy generous humble lively nimble modest strong witty funny
graceful spotted
""".split()
COLORS = "red blue yellow green purple pink orange white black silver brown gray".split()
SAD = """
sad upset worried gloomy unhappy tearful lonely puzzled nervous helpless miserable cross
disappointed frightened confused anxious restless hurt
""".split()
GLAD = """
happy glad proud merry joyful thankful delighted excited grateful pleased relieved thrilled
overjoyed content hopeful lucky satisfied amazed
""".split()
WEATHER = """
sunny cloudy rainy windy stormy frosty misty breezy mild cool humid drizzly
""".split()
TIMES = "morning evening afternoon day night".split()
SEASONS = "spring summer autumn winter".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
FOODS = """
pancakes cookies muffins waffles dumplings noodles sandwiches berries cherries peaches apples
pears plums grapes carrots beans cakes pies buns crackers pretzels nuts almonds walnuts
strawberries blueberries raspberries biscuits tarts toast popcorn pudding porridge soup stew
salad cheese bread honey jam yogurt melons bananas figs dates potatoes pumpkins tomatoes
doughnuts meatballs omelets chestnuts raisins apricots mangoes lentils peas radishes cucumbers
onions mushrooms burgers pastries sausages eggs oranges lemons coconuts pineapples
""".split()
DRINKS = "milk tea cocoa lemonade juice water cider broth".split()
RELATIVES = """
mother father grandma grandpa aunt uncle sister brother cousin teacher neighbor friend
""".split()
JOBS = """
baker farmer sailor doctor nurse painter tailor carpenter gardener fisherman miller shepherd
librarian plumber pilot captain knight queen king prince princess wizard fairy mayor postman
firefighter blacksmith barber butcher cobbler dentist driver florist guard hunter juggler
magician musician poet potter reporter singer dancer clown acrobat astronaut actor scientist
inventor judge lifeguard mechanic mason merchant minstrel beekeeper jeweler waiter grocer weaver
explorer ranger coach
""".split()
ADVERBS = """
slowly quickly quietly carefully softly bravely gently eagerly happily boldly calmly neatly
swiftly patiently cleverly secretly stubbornly tirelessly hopefully cautiously firmly busily
""".split()
SAID = "said whispered cried sighed mumbled sobbed".split()
SAID_GLAD = "laughed cheered shouted sang giggled smiled".split()
PROMISES = """
honest brave kind helpful patient generous friendly careful polite gentle
""".split()
TREES = """
oak birch willow maple elm cedar fir poplar beech ash hazel cypress pine spruce linden palm
""".split()
FURNITURE = """
sofa bed cupboard wardrobe shelf bench piano stove dresser stool bookcase trunk carpet mattress
couch armchair cabinet ladder desk fireplace
""".split()
FLOWERS = """
roses tulips daisies lilies violets poppies sunflowers daffodils orchids pansies irises
buttercups bluebells marigolds peonies snowdrops carnations lavender
""".split()
TOOLS = """
hammer rope ladder shovel bucket broom net pole hook crowbar rake wrench saw lantern torch
magnet spade pickaxe pulley chain
""".split()
MATERIALS = "wood glass paper tin wool clay straw leather cotton wax".split()
BUGS = """
ants wasps moths beetles flies ladybugs fleas gnats hornets caterpillars crickets mosquitoes
termites worms
""".split()
BOXES = """
basket chest jar sack drawer barrel pocket crate suitcase bag tin pot backpack purse carton
envelope
""".split()
SOUNDS = """
hum buzz clatter whistle rumble squeak creak thump jingle roar rattle hiss
""".split()
STARS = """
stars moon sun clouds rainbow fireflies lanterns candles comets planets snowflakes
""".split()
DANCES = "waltz polka jig tango ballet reel".split()
GAMES = """
tag chess checkers marbles hopscotch charades dominoes leapfrog bingo darts tennis hockey cards
""".split()

# class of things -> its adjectives, things
THINGS: dict[str, tuple[list[str], list[str]]] = {
    "flying": (
        "light striped paper speedy".split(),
        """
kite balloon glider plane parachute rocket helicopter pinwheel feather airship drone streamer
""".split(),
    ),
    "ball": (
        "round bouncy rubber shiny".split(),
        """
ball marble hoop frisbee football baseball basketball boomerang shuttlecock volleyball beanbag
puck
""".split(),
    ),
    "boat": (
        "fast sturdy painted pretty".split(),
        """
boat ship raft canoe kayak sailboat ferry rowboat submarine tugboat barge yacht gondola
""".split(),
    ),
    "clothes": (
        "soft woolen fancy long".split(),
        """
hat scarf coat dress sweater cape jacket shirt skirt vest mitten bonnet sash apron cloak kimono
uniform
""".split(),
    ),
    "book": (
        "thick secret funny new".split(),
        """
book map letter diary atlas storybook poem comic songbook cookbook scroll postcard novel
magazine notebook
""".split(),
    ),
    "music": (
        "loud brass tuneful splendid".split(),
        """
drum flute guitar trumpet violin harp bell banjo accordion cello horn tambourine clarinet
xylophone trombone
""".split(),
    ),
    "treat": (
        "sweet tasty huge creamy".split(),
        """
cake pie cookie muffin cupcake lollipop sundae pizza gingerbread candy cone bun brownie strudel
croissant
""".split(),
    ),
    "plant": (
        "tender strange thirsty special".split(),
        """
seed rosebush sapling cactus fern acorn bulb vine pumpkin sunflower turnip tulip cabbage melon
orchid
""".split(),
    ),
    "toy": (
        "fuzzy favorite velvet stuffed".split(),
        """
doll teddy puppet robot puzzle top dollhouse pinata tractor train dinosaur rattle spaceship
soldier
""".split(),
    ),
    "wheels": (
        "rusty sleek squeaky swift".split(),
        """
bicycle scooter wagon cart tricycle skateboard sled carriage stroller truck trolley wheelbarrow
motorbike
""".split(),
    ),
    "jewel": (
        "precious sparkling gold lovely".split(),
        """
ring necklace crown bracelet medal pearl ruby brooch locket diamond emerald coin sapphire tiara
bead
""".split(),
    ),
    "tool": (
        "heavy handy sharp steel".split(),
        """
compass telescope spyglass camera clock lamp watch radio whisk kettle teapot mirror calculator
typewriter toaster
""".split(),
    ),
    "house": (
        "crooked roomy comfortable neat".split(),
        """
tent fort sandcastle birdhouse snowman hut nest kennel playhouse hammock swing doghouse wigwam
aquarium
""".split(),
    ),
    "art": (
        "colorful beautiful delicate curious".split(),
        """
picture painting vase statue mask quilt portrait mosaic poster drawing sketch banner carving
tapestry collage
""".split(),
    ),
}
